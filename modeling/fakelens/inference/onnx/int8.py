"""An ONNX model in float32 -> one in int8, its ranges measured on images.

Static quantisation in QDQ form (Jacob et al. 2018, https://arxiv.org/abs/1712.05877): weights by output channel,
activations by the range that each takes on the calibration images. Only convolutions and matrix products are
quantised: what follows the last of them (a temperature, an ensemble's vote) keeps its float32.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fakelens.inference.onnx.check import Sample

CALIBRATION = 64  # images
OPERATORS = ["Conv", "Gemm", "MatMul"]


class _Reader(CalibrationDataReader):
    """Calibration images one at a time, as onnxruntime asks for them."""

    def __init__(self, sample: Sample):
        self.inputs: Iterator[dict[str, np.ndarray]] = (
            {name: tensor.numpy() for name, tensor in one.items()} for one in sample.inputs
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next image's inputs; None after the last."""
        return next(self.inputs, None)


def quantise(path: Path, output: Path, sample: Sample) -> None:
    """Write a model's copy in int8.

    Args:
        path: The model in float32.
        output: The file to write.
        sample: Calibration images, at least 1, which are not those that its cost is measured on.
    """
    with tempfile.TemporaryDirectory() as work:
        prepared = Path(work) / "prepared.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            output,
            _Reader(sample),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            # Without it, x86 processors before VNNI saturate where two products are added in 16 bits.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
