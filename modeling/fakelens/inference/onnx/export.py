"""A saved detector -> a folder with the same detector in ONNX, kept only if it says the same."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from transformers import PreTrainedModel

from fakelens.atomic import atomic_directory
from fakelens.data.sources.columns import ReadOptions
from fakelens.errors import UserError
from fakelens.inference.detector import Detector, load_detector
from fakelens.inference.identity import identity
from fakelens.inference.onnx.check import IMAGES, Sample, check, cost, made_sample, read_sample
from fakelens.inference.onnx.int8 import CALIBRATION, quantise
from fakelens.inference.onnx.speed import images_per_second
from fakelens.inference.onnx_model import MODEL, OnnxModel
from fakelens.zoo.shipped import model_folder

SCHEMA_VERSION = 1
INT8, RECORD = "model_int8.onnx", "export.json"
LIBRARIES = ("fakelens", "torch", "transformers", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Settings:
    """How to export and check.

    Attributes:
        data: A SOURCE string, whose images it is checked on; images made on the spot if None.
        split: Of the data.
        images: How many images it is checked on, at least 2; of data, half of each class.
        int8: Also write a quantised copy, calibrated on further images of the same kind.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.
        read: What the user says of the data's columns and of the data's and the model's classes.
    """

    data: str | None = None
    split: str = "test"
    images: int = IMAGES
    int8: bool = False
    trust_remote_code: bool = False
    read: ReadOptions = field(default_factory=ReadOptions)


def export_model(model: str, output: Path, settings: Settings | None = None) -> dict[str, Any]:
    """Export a detector, check the result against it on images, and write its folder.

    The folder holds `model.onnx`, the model's configuration (labels, thresholds, uncertain band) and image processor,
    `export.json`, and with `int8` also `model_int8.onnx`.

    Args:
        model: Folder or Hub repo of a PyTorch detector.
        output: A new folder, or an earlier export, which is replaced at the end.
        settings: How to export and check.

    Returns:
        The content of export.json.

    Raises:
        UserError: If the model or the data cannot be read, torch cannot export the network, the exported model
            differs from it, or the folder cannot be written. Nothing is kept then.
    """
    settings = settings or Settings()
    check_output(output)
    if settings.images < 2:
        raise UserError(f"An export is checked on at least 2 images, not {settings.images}.")
    detector = load_detector(model, "cpu", settings.trust_remote_code, rules=settings.read.rules)
    if isinstance(detector.model, OnnxModel):
        raise UserError(f"{model} is in ONNX already. Name the PyTorch model that it was made from.")
    further = CALIBRATION if settings.int8 else 0
    sample = take_sample(detector, settings, settings.images + further)
    checked, calibration = sample.first(settings.images), sample.after(settings.images)
    with replacing(output) as folder:
        path = folder / MODEL
        write_graph(detector.model, sample.batch(0, 2), path)
        detector.readout.remember(detector.model.config)
        detector.model.config.save_pretrained(folder)
        detector.processor.save_pretrained(folder)
        was = model_folder(model) / "run.json"  # says which generators it never saw
        if was.is_file():
            shutil.copyfile(was, folder / was.name)
        engines = {
            "torch": detector,
            "onnx": load_detector(folder, "cpu", settings.trust_remote_code, rules=settings.read.rules),
        }
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "source": {
                "model": model,
                "architecture": type(detector.model).__name__,
                "weights_sha256": identity(detector)["weights"],
            },
            "inputs": {name: ["batch", *tensor.shape[1:]] for name, tensor in sample.batch(0, 1).items()},
            "opset": {entry.domain or "ai.onnx": entry.version for entry in onnx.load(path).opset_import},
            "versions": {name: version(name) for name in LIBRARIES},
            "images": {
                "count": len(checked),
                "data": settings.data,
                "split": settings.split if settings.data else None,
            },
            "check": check(detector, engines["onnx"], checked),
        }
        if settings.int8:
            quantise(path, folder / INT8, calibration)
            engines["int8"] = load_detector(
                folder / INT8, "cpu", settings.trust_remote_code, rules=settings.read.rules
            )
            record["int8"] = {"calibration_images": len(calibration), **cost(detector, engines["int8"], checked)}
        if checked.labels is not None:
            record["metrics"] = {name: checked.metrics(engine) for name, engine in engines.items()}
        record["bytes"] = {name: _bytes(model_folder(model), engine) for name, engine in engines.items()}
        record["images_per_second"] = images_per_second(engines, checked)
        (folder / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return record


def check_output(output: Path) -> None:
    """See that an export can be written to a folder; worth knowing before the work begins.

    Args:
        output: The folder.

    Raises:
        UserError: If it holds anything but an earlier export, or is a file.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file. Name a folder with --output.")
    if output.is_dir() and any(output.iterdir()) and not (output / RECORD).is_file():
        raise UserError(f"{output} holds something else than an export. Name a new folder with --output.")


def take_sample(detector: Detector, settings: Settings, count: int) -> Sample:
    """Return the images to check and to calibrate on, as the detector's network takes them.

    Args:
        detector: Whose processor to use.
        settings: What images.
        count: How many.

    Raises:
        UserError: If the data cannot be read or has too few images of either class.
    """
    if settings.data is None:
        return made_sample(detector, count)
    return read_sample(detector, settings.data, settings.split, count, settings.read)


class _Logits(nn.Module):
    """A detector's network as a function of tensors in the order of their names, without what else it returns."""

    def __init__(self, model: PreTrainedModel, names: list[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, tensors, strict=True))).logits


def write_graph(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a network as one ONNX file in float32, for batches of any size.

    Args:
        model: In evaluation mode, on the CPU.
        inputs: An example of what its processor makes, for at least 2 images; names and shapes are kept.
        path: The file.

    Raises:
        UserError: If torch cannot export the network.
    """
    names, batch = list(inputs), torch.export.Dim("batch")
    # The others are found to be the same.
    sizes = [{0: batch}, *({0: torch.export.Dim.DYNAMIC} for _ in names[1:])]
    try:
        program = torch.onnx.export(
            _Logits(model, names).eval(),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=(tuple(sizes),),
        )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"torch cannot export {type(model).__name__} to ONNX: {first} Use the PyTorch model."
        ) from error
    assert program is not None  # torch's older exporter returns nothing, this one a program
    program.save(path, external_data=False)
    graph = onnx.load(path)
    # The exporter notes where every node comes from, with this machine's paths: half of a small model's file.
    for part in (
        graph.graph,
        *graph.graph.node,
        *graph.graph.value_info,
        *graph.graph.input,
        *graph.graph.initializer,
    ):
        part.ClearField("metadata_props")
    onnx.save(graph, path)


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Give a folder to write to, which takes the output's place when the block ends well, and vanishes when not.

    Args:
        output: Its final place: nothing, an empty folder, or an earlier export.

    Raises:
        UserError: If the place cannot be written.
    """
    try:
        with atomic_directory(output) as made:
            yield made
    except OSError as error:
        raise UserError(
            f"{output} could not be written ({error.strerror or error}). Free some space or name another --output."
        ) from error


def _bytes(folder: Path, engine: Detector) -> int | None:
    """Return the size of an engine's weights in bytes; None if they lie on the Hub."""
    if isinstance(engine.model, OnnxModel):
        return engine.model.path.stat().st_size
    return sum(path.stat().st_size for path in folder.glob("model*.safetensors")) or None
