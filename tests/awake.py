"""Networks with new weights that do tell images apart, without training."""

import torch
from torch import nn


def awake(model):
    """Draw weights that let images through: with new ones, deep networks say nearly the same of every image."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    inputs = [f"pixel_values_{n}" for n in range(len(model.config.to_dict().get("members", [])))] or ["pixel_values"]
    with torch.no_grad():
        model.train()(**dict.fromkeys(inputs, torch.randn(16, 3, 64, 64)))
    return model.eval()
