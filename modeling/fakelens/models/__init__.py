"""What travels to the Hub: networks with their configurations, and image processors; flat, without other files.

Files here import nothing else of fakelens and name each other by `from .file import Name` only, because transformers
copies them into a model's repo. This file stays behind: it registers the classes, so that where fakelens is installed
a model of ours loads without running code from its repo, and is saved with its code beside it.

Read `modeling_detector` first, what all share. Each other `modeling_` file is one network: its configuration, then its
layers, smallest first. `image_processing_` files say what pixels the networks take.
"""

from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from .image_processing_detector import DetectorImageProcessor
from .image_processing_ensemble import EnsembleImageProcessor
from .modeling_custom_cnn import CustomCNNConfig, CustomCNNForImageClassification
from .modeling_detector import DetectorConfig, DetectorPreTrainedModel
from .modeling_ensemble import EnsembleConfig, EnsembleForImageClassification
from .modeling_patch_lens import PatchLensConfig, PatchLensForImageClassification
from .modeling_resnet_se import ResNetSEConfig, ResNetSEForImageClassification
from .modeling_timm_backbone import TimmBackboneConfig, TimmBackboneForImageClassification

for _config, _model, _processor in (
    (CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor),
    (PatchLensConfig, PatchLensForImageClassification, DetectorImageProcessor),
    (ResNetSEConfig, ResNetSEForImageClassification, DetectorImageProcessor),
    (TimmBackboneConfig, TimmBackboneForImageClassification, DetectorImageProcessor),
    (EnsembleConfig, EnsembleForImageClassification, EnsembleImageProcessor),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForImageClassification.register(_config, _model)
    # Under both names, or transformers warns wherever torchvision is installed that it falls back to PIL.
    AutoImageProcessor.register(_config, image_processor_classes={"pil": _processor, "torchvision": _processor})
    _config.register_for_auto_class("AutoConfig")
    _model.register_for_auto_class("AutoModelForImageClassification")
    _processor.register_for_auto_class("AutoImageProcessor")

__all__ = [
    "CustomCNNConfig",
    "CustomCNNForImageClassification",
    "DetectorConfig",
    "DetectorImageProcessor",
    "DetectorPreTrainedModel",
    "EnsembleConfig",
    "EnsembleForImageClassification",
    "EnsembleImageProcessor",
    "PatchLensConfig",
    "PatchLensForImageClassification",
    "ResNetSEConfig",
    "ResNetSEForImageClassification",
    "TimmBackboneConfig",
    "TimmBackboneForImageClassification",
]
