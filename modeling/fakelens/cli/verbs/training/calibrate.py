r"""Calibrate a saved model on images of your own: its scores, its thresholds, and when it says "uncertain".

    fakelens calibrate --model runs/custom_cnn/model --data path/to/my_images --output runs/my_camera
    fakelens calibrate --model USER/NAME --data SOURCE --split validation --max_fpr 0.01 --max_miss 0.1 \
        --rule best_f1 --output runs/stricter
    fakelens calibrate --model runs/custom_cnn/model --data SOURCE --in_place

A detector's error rates hold for images like those it was calibrated on. For another camera, archive or messenger,
calibrate it on some hundred of your own photographs and as many generated images; one temperature and the thresholds
change, with `--method platt` a bias too, and the order of its scores stays. Use images that no result will be reported
on.
"""

import json
import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fakelens.cli.script import SOURCE, ReadArguments
from fakelens.cli.verb import dataclass_verb

if TYPE_CHECKING:  # torch and transformers take seconds to import: `--help` does without
    from fakelens.inference.detector import Detector

MEASURES = {"ece": "expected calibration error", "brier": "Brier score", "nll": "negative log-likelihood"}


@dataclass
class CalibrateArguments(ReadArguments):
    """What to calibrate, on what, and where to write it."""

    model: str = field(metadata={"help": "Folder of a model, or a Hub repo."})
    data: str = field(metadata={"help": SOURCE})
    split: str = field(
        default="validation", metadata={"help": "Split to calibrate on; not one you report results on."}
    )
    rule: str = field(
        default="0.5",
        metadata={"help": "Decision threshold on the calibrated score: a number, best_f1, max_fpr:RATE."},
    )
    method: str = field(
        default="temperature",
        metadata={"help": "temperature; platt, which adds a bias for a detector that leans to one side; or none."},
    )
    max_fpr: float = field(default=0.05, metadata={"help": "Fraction of photographs that may be predicted fake."})
    max_miss: float = field(default=0.05, metadata={"help": "Fraction of fakes that may be predicted real."})
    output: str | None = field(default=None, metadata={"help": "New folder for the calibrated model."})
    in_place: bool = field(default=False, metadata={"help": "Write it over the model's own folder instead."})
    limit: int | None = field(default=None, metadata={"help": "Take only this many images from the split's start."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: CalibrateArguments) -> None:
    """Calibrate, write the model, and print what changed."""
    from tqdm import tqdm

    from fakelens.data.sources.opening import examples, open_source
    from fakelens.data.sources.skips import SkipLog
    from fakelens.inference.detector import load_detector
    from fakelens.inference.loading import check_label_map
    from fakelens.training.calibration.calibration import fit, score_images
    from fakelens.training.calibration.thresholds import check_counts, check_method, check_rates, check_rule

    check_rule(args.rule)
    check_method(args.method)
    check_rates(args.max_fpr, args.max_miss)
    folder = destination(args)
    read = args.read_options(is_strict=False)
    detector = load_detector(args.model, args.device, args.trust_remote_code, rules=read.rules)
    detector.require_pytorch()
    source, skips = open_source(args.data, args.split, read), SkipLog()
    check_label_map(read.rules, [source.classes], {args.model: read.rules}, args.trust_remote_code)
    found = islice(examples(source, skips), args.limit)
    total = min((n for n in (source.rows, args.limit) if n is not None), default=None)
    progress = tqdm(found, total=total, desc="scoring", unit="image", disable=None)
    scored = score_images(detector, ((example.image.image, example.label) for example in progress))
    check_counts(scored.labels, args.max_fpr, args.max_miss)
    record = fit(detector, scored, args.rule, args.method, max_fpr=args.max_fpr, max_miss=args.max_miss)
    record |= {"model": args.model, "data": args.data, "revision": source.revision, "split": args.split} | source.said
    record["skipped"] = skips.counts
    save(detector, folder, record)
    show(record)
    print(f"The calibrated model is in {folder}.")


def destination(args: CalibrateArguments) -> Path:
    """Return the folder to write to, or say why it cannot be."""
    from fakelens.errors import UserError
    from fakelens.zoo.shipped import SHIPPED

    if bool(args.output) == args.in_place:
        raise UserError("Say one of --output FOLDER and --in_place.")
    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit is {args.limit}; it is a number of images, 1 or more.")
    if args.in_place:
        if args.model == SHIPPED:
            raise UserError(f"{SHIPPED} is part of fakelens and is not written over. Name a folder with --output.")
        if not Path(args.model).is_dir():
            raise UserError(f"{args.model} is no folder, so nothing is written in place. Name one with --output.")
        return Path(args.model)
    folder = Path(str(args.output))
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there already. Name a new folder with --output, or say --in_place.")
    return folder


def save(detector: "Detector", folder: Path, record: dict[str, Any]) -> None:
    """Write model, processor and the record beside their place and move them there, file by file."""
    from fakelens.errors import UserError
    from fakelens.zoo.shipped import model_folder

    was = model_folder(detector.name) / "run.json"
    run = json.loads(was.read_text(encoding="utf-8")) if was.is_file() else {}
    run["calibration"] = record
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not over the files themselves: the model's weights may still be read from them.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work:
            detector.readout.remember(detector.model.config)
            detector.model.save_pretrained(work)
            detector.processor.save_pretrained(work)
            (Path(work) / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
            for path in Path(work).iterdir():
                path.replace(folder / path.name)
    except OSError as error:
        raise UserError(f"The model could not be written to {folder}: {error.strerror}.") from error


def show(record: dict[str, Any]) -> None:
    """Print calibration before and after, and the thresholds with the images that they rest on."""
    console = Console()
    table = Table("", "before", "after")
    for key, name in MEASURES.items():
        table.add_row(name, f"{record['before'][key]:.4f}", f"{record['after'][key]:.4f}")
    console.print(table)
    low, high = record["uncertain_band"]
    real_images, fakes = f"{record['real']} real images", f"{record['fake']} fakes"
    band = "never, for the classes are far enough apart" if low == high else f"P(fake) from {low:.4g} to {high:.4g}"
    bias = f", and {record['bias']:+.4g} to the log-odds of fake" if record["bias"] else ""
    console.print(f"temperature: {record['temperature']:.4g}{bias}, from {real_images} and {fakes}")
    console.print(f"decision threshold, where two verdicts are wanted: {record['decision_threshold']:.4g}")
    console.print(f"uncertain: {band}")
    console.print(f"  fake from there on: at most {record['max_fpr']:.3g} of photographs like these {real_images}")
    console.print(f"  real below: at most {record['max_miss']:.3g} of fakes like these {fakes}")
    for rate, threshold in record["fpr_thresholds"].items():
        console.print(f"  --max-fpr {rate}: fake from {threshold:.4g}")
    for note in record["notes"]:
        console.print(f"note: {note}")
    for reason, count in record["skipped"].items():
        console.print(f"skipped: {count} {reason}")


VERB = dataclass_verb("calibrate", main, CalibrateArguments, __doc__)
