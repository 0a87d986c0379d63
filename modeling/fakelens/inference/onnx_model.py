"""A network that onnxruntime runs, standing where a PyTorch network stands in a `Detector`."""

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from fakelens.errors import UserError

MODEL = "model.onnx"
CUDA = "CUDAExecutionProvider"


def require(*modules: str) -> None:
    """See that optional libraries are there.

    Args:
        modules: Their names.

    Raises:
        UserError: If one is not installed, with the command that installs it.
    """
    for module in modules:
        if find_spec(module) is None:
            raise UserError(f"{module} is not installed, and ONNX models need it: pip install 'fakelens[onnx]'.")


def onnx_device(device: str | None) -> str:
    """Return where an ONNX model runs: `cpu`, or `cuda` where onnxruntime was built for it.

    Args:
        device: As torch names devices; the fastest one that onnxruntime has if None.

    Raises:
        UserError: If onnxruntime is not installed or cannot use the device.
    """
    require("onnxruntime")
    import onnxruntime  # optional

    has_cuda = CUDA in onnxruntime.get_available_providers() and torch.cuda.is_available()
    if device is None:
        return "cuda" if has_cuda else "cpu"
    kind = device.partition(":")[0]
    if kind == "cpu" or (kind == "cuda" and has_cuda):
        return device
    raise UserError(
        f"onnxruntime as installed here cannot run on {device!r}. Leave --device out or say cpu; for CUDA, "
        "pip install onnxruntime-gpu in the place of onnxruntime."
    )


class OnnxModel(nn.Module):
    """An exported network with its configuration: what `PreTrainedModel` is to a `Detector`, without gradients.

    Args:
        path: The ONNX file; its inputs are named as the image processor names them, its output is `logits`.
        config: Of the model that it was exported from.
        device: `cpu`, `cuda` or `cuda:N`; the fastest one that onnxruntime has if None.

    Attributes:
        device: Where it runs.

    Raises:
        UserError: If onnxruntime is not installed, cannot read the file or cannot use the device, or the file has no
            output `logits`.
    """

    def __init__(self, path: Path, config: PreTrainedConfig, device: str | None = None):
        super().__init__()
        self.device = onnx_device(device)
        import onnxruntime  # optional

        options = onnxruntime.SessionOptions()
        # A detector calls from as many threads as there are cores, or from one: each call may use every core, and one
        # that waits sleeps, so that it takes none from another.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; its warnings are about the machine
        providers: list[Any] = ["CPUExecutionProvider"]
        if self.device != "cpu":
            providers.insert(0, (CUDA, {"device_id": torch.device(self.device).index or 0}))
        try:
            content = path.read_bytes()
            # From the bytes, so that the file cannot refer to others.
            self.session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # onnxruntime's share no other class
            raise UserError(f"{path} is no ONNX model that onnxruntime can run: {_one_line(error)}") from error
        if self.device != "cpu" and CUDA not in self.session.get_providers():
            raise UserError(
                f"onnxruntime could not start on {self.device}. Say --device cpu, or mend its CUDA libraries."
            )
        if [output.name for output in self.session.get_outputs()] != ["logits"]:
            raise UserError(f"{path} has no single output `logits`. Export the model with fakelens export.")
        self.path = path
        self.config = config
        self.main_input_name = self.session.get_inputs()[0].name
        # What tells this network from another, in the place of the weights that a PyTorch network would show.
        digest = hashlib.sha256(content).digest()
        self.register_buffer("sha256", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    def forward(self, **inputs: torch.Tensor) -> ImageClassifierOutputWithNoAttention:
        """Score a batch of images.

        Args:
            **inputs: What the image processor makes, each with a first dimension of `batch_size`.

        Returns:
            `logits` of shape `(batch_size, num_labels)`, on the CPU.

        Raises:
            UserError: If a gradient is wanted, or the inputs are not those that the model was exported for.
        """
        if any(tensor.requires_grad for tensor in inputs.values()):
            raise self.refusal()
        arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in inputs.items()}
        try:
            (logits,) = self.session.run(["logits"], arrays)
        except Exception as error:  # onnxruntime's share no other class
            raise UserError(
                f"{self.path} does not take what its image processor makes: {_one_line(error)} Export the model again."
            ) from error
        return ImageClassifierOutputWithNoAttention(logits=torch.from_numpy(logits))

    def refusal(self) -> UserError:
        """Return what is to be raised where heat maps, attacks, training or calibration are asked of it."""
        return UserError(
            f"{self.path} is an ONNX model, which has no gradients and cannot be changed. "
            "This needs the PyTorch model that it was made from."
        )

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Yield the file's weights by their shape alone, without their values; batch norms are folded into others.

        Args:
            recurse: Without effect: there are no modules inside.

        Raises:
            UserError: If onnx is not installed.
        """
        require("onnx")
        import onnx  # optional

        kinds = onnx.TensorProto
        numbers = (kinds.FLOAT, kinds.INT8, kinds.UINT8, kinds.INT32)  # int64 is for shapes
        for tensor in onnx.load(self.path, load_external_data=False).graph.initializer:
            # Without constants of the arithmetic, and what quantisation adds to each tensor: scales and zero points.
            if tensor.dims and tensor.data_type in numbers and not tensor.name.endswith(("_scale", "_zero_point")):
                yield nn.Parameter(torch.empty(tuple(tensor.dims), device="meta"), requires_grad=False)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: what is saved again is a model that was changed.

        Args:
            *args: As transformers' models take them.
            **kwargs: Likewise.

        Raises:
            UserError: Always.
        """
        raise self.refusal()


def _one_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".") + "."
