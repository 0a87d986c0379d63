"""What travels to the Hub: configurations, networks and image processors, each file able to stand alone.

Files here import nothing else of fakelens and name each other by `from .file import Name` only, because transformers
copies them into a model's repo. This file stays behind: it registers the classes, so that where fakelens is installed
a model of ours loads without running code from its repo, and is saved with its code beside it.
"""

from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from .configuration_custom_cnn import CustomCNNConfig
from .image_processing_detector import DetectorImageProcessor
from .modeling_custom_cnn import CustomCNNForImageClassification

DetectorImageProcessor.register_for_auto_class("AutoImageProcessor")
for _config, _model in ((CustomCNNConfig, CustomCNNForImageClassification),):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForImageClassification.register(_config, _model)
    AutoImageProcessor.register(_config, slow_image_processor_class=DetectorImageProcessor)
    _config.register_for_auto_class("AutoConfig")
    _model.register_for_auto_class("AutoModelForImageClassification")

__all__ = ["CustomCNNConfig", "CustomCNNForImageClassification", "DetectorImageProcessor"]
