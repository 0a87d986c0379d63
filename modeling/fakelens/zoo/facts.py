"""The zoo's networks with their sizes, as data, so that a list of them needs neither torch nor seconds.

`tests/zoo/test_facts.py` builds every network, counts, and fails where a row here says something else.
"""

from dataclasses import dataclass

ENSEMBLE = "EnsembleForImageClassification"  # made of trained detectors, and so in no row


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    Attributes:
        name: What `build_detector` knows it by.
        architecture: Its class.
        parameters: Their number, with two labels.
        megabytes: Of its weights as they are saved, in millions of bytes.
        native: Whether the class is transformers' own; one of fakelens's loads in transformers after
            `import fakelens`, or with `trust_remote_code=True`.
        pretrained: The Hub repo with its backbone's ImageNet weights; None where it is trained from scratch.
    """

    name: str
    architecture: str
    parameters: int
    megabytes: float
    native: bool
    pretrained: str | None = None


TIMM, BACKBONE = "TimmWrapperForImageClassification", "TimmBackboneForImageClassification"

NETWORKS = (
    Network("custom_cnn", "CustomCNNForImageClassification", 421_921, 1.691556, False),
    Network("resnet_se", "ResNetSEForImageClassification", 11_240_626, 44.998984, False),
    Network("efficientnetv2_s", TIMM, 20_180_050, 81.336568, True, "timm/tf_efficientnetv2_s.in21k"),
    Network("efficientnet_b0", TIMM, 4_010_110, 16.208896, True, "timm/efficientnet_b0.ra_in1k"),
    Network("resnet50", TIMM, 23_512_130, 94.261424, True, "timm/resnet50.a1_in1k"),
    Network("convnext_tiny", TIMM, 27_821_666, 111.286664, True, "timm/convnext_tiny.fb_in1k"),
    Network(
        "mobilenet_v2", "MobileNetV2ForImageClassification", 2_226_434, 9.0426, True, "google/mobilenet_v2_1.0_224"
    ),
    Network("efficientnet_b2", BACKBONE, 7_702_403, 31.080436, False, "timm/efficientnet_b2.ra_in1k"),
    Network("efficientnet_b0_mlp", BACKBONE, 4_335_741, 17.51142, False, "timm/efficientnet_b0.ra_in1k"),
    Network(
        "patch_lens", "PatchLensForImageClassification", 700_881, 2.868428, False, "timm/tf_efficientnet_lite0.in1k"
    ),
)


def is_native(architecture: str) -> bool:
    """Tell whether a class is transformers' own, and not one of fakelens's.

    Args:
        architecture: Its name.
    """
    return architecture not in {ENSEMBLE, *(row.architecture for row in NETWORKS if not row.native)}
