r"""Export a detector to ONNX: one file that onnxruntime runs, in Python, on servers, on phones and in browsers.

    fakelens export --model runs/custom_cnn/model --output runs/custom_cnn/onnx
    fakelens export --model USER/NAME --output runs/onnx --data path/to/folder --split test --int8
    fakelens photo.jpg --model runs/custom_cnn/onnx
    fakelens photo.jpg --model runs/onnx/model_int8.onnx

Writes model.onnx (float32, batches of any size), the image processor's and the model's settings (labels, thresholds,
uncertain band) and export.json. Before anything is kept, both models score the same images, one and seven at a time:
no probability may differ by more than 0.0001 and no verdict may change. Without --data the images are made on the
spot: parts of photographs, gradients and noise of many sizes.

--int8 also writes model_int8.onnx, a quarter of the size. It costs accuracy, how much depends on the network: the cost
is measured, printed and recorded, and with --data it is given in AUROC and accuracy. Its ranges are measured on
further images of the data, so use data like those it will see.

Every command here takes the folder as --model, except what needs gradients or changes the model: heat maps, attacks,
training, calibration. Do these to the PyTorch model. Needs: pip install 'fakelens[onnx]'
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakelens.cli.script import SOURCE, ReadArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class ExportArguments(ReadArguments):
    """What to export, where to, and what to check it on."""

    model: str = field(metadata={"help": "Folder or Hub repo of a PyTorch detector."})
    output: str = field(metadata={"help": "Folder to write. One that holds an export is replaced at the end."})
    data: str | None = field(default=None, metadata={"help": f"Check on these images. {SOURCE}"})
    split: str = field(default="test", metadata={"help": "Split of --data."})
    images: int = field(default=50, metadata={"help": "Check on so many images; of --data, half of each class."})
    int8: bool = field(default=False, metadata={"help": "Also write model_int8.onnx, and print what it costs."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: ExportArguments) -> None:
    """Export, and print what the check found."""
    from fakelens.inference.onnx_model import require

    require("onnx", "onnxscript", "onnxruntime")
    from fakelens.inference.onnx.export import Settings, export_model

    settings = Settings(
        args.data, args.split, args.images, args.int8, args.trust_remote_code, args.read_options(is_strict=False)
    )
    show(export_model(args.model, Path(args.output), settings))
    print(f"The exported model is in {args.output}.")


def show(record: dict[str, Any]) -> None:
    """Print the engines side by side: size, speed, what differs from PyTorch, and metrics where there are labels."""
    compared = {"onnx": max(record["check"]["batch_sizes"].values(), key=lambda one: one["max_difference"])}
    if "int8" in record:
        compared["int8"] = record["int8"]
    metrics = record.get("metrics", {})
    table = Table("", "MB", "images/s", "difference", "changed", *(["AUROC", "accuracy"] if metrics else []))
    for name, size in record["bytes"].items():
        one = compared.get(name)
        table.add_row(
            name,
            "" if size is None else f"{size / 1e6:.1f}",
            f"{record['images_per_second'][name]:.1f}",
            f"{one['max_difference']:.2g}" if one else "",
            f"{one['verdicts_changed']} of {record['images']['count']}" if one else "",
            *("" if value is None else f"{value:.4f}" for value in metrics.get(name, {}).values()),
        )
    console = Console()
    console.print(table)
    console.print("difference: the largest of any probability; changed: verdicts. Both against torch.")


VERB = dataclass_verb("export", main, ExportArguments, __doc__)
