"""The protocols of S0 to S3, each a function to be read from top to bottom; S4's is in `ensemble.py`."""

import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from projection import projected
from sets import Draw, about, write_split
from table import Row, entry, overall, write_result
from work import Work

from fakelens.atomic import atomic_directory, write_json
from fakelens.data.splits.prepare import Preparation, prepare
from fakelens.errors import UserError

Splits = dict[str, dict[str, Any]]  # a split's name -> what `write_split` returned
RANDOM = "from random weights, where theirs start from ImageNet's."


def s0(work: Work, args: Namespace) -> dict[str, Any]:
    """Train the custom CNN for 30 epochs; MobileNetV2 and EfficientNetV2-S for one as a check, or with --full."""
    make_data(work, args, lambda new: _drawn(new, args, Draw(**args.draw)))
    short = {} if args.full else {"num_train_epochs": 1, "eval_steps": None}
    recipes: dict[str, dict[str, Any]] = {
        "s0_custom_cnn": {}, "s0_mobilenet_v2": short, "s0_efficientnetv2_s": short
    }  # fmt: skip
    work.ahead(work.trainings(recipes))
    models = [work.train(name, keys) for name, keys in recipes.items()]
    work.ahead(work.evaluations("report", models, views=_views(args)))
    report = work.evaluate("report", models, views=_views(args))
    rows = overall("custom CNN", report, work.models["s0_custom_cnn"], {"accuracy": 0.7073, "f1": 0.7090})
    stated = {
        "s0_mobilenet_v2": ("MobileNetV2", {"accuracy": 0.9545, "f1": 0.9528}),
        "s0_efficientnetv2_s": ("EfficientNetV2-S", {"accuracy": 0.9334, "f1": 0.9360}),
    }
    for name, (what, theirs) in stated.items():
        rows += overall(what if args.full else f"{what}, a check", report, work.models[name], theirs)
    networks = "MobileNetV2 and EfficientNetV2-S"
    differences = _differences(args, "27,485 images of OpenFake in training, 3,557 in test", networks)
    differences += [] if args.full else [f"{networks} are trained for 1 epoch of 3, as a check."]
    further = {"projected": [projected(work.models[name]) for name in stated]}
    return write_result(work, rows, differences, further)


def s1(work: Work, args: Namespace) -> dict[str, Any]:
    """Train both backbones for 8 epochs on faces, and evaluate every checkpoint."""
    args.unseen_split = None  # faces of other generators are another task
    make_data(work, args, lambda new: _cut(new, args, Draw(**args.draw, is_balanced=True)))
    rows: list[Row] = []
    stated = {
        "s1_efficientnet_b0": ("EfficientNet-B0", {"accuracy": 0.9240, "f1": 0.9227}),
        "s1_resnet50": ("ResNet-50", {"accuracy": 0.9359, "f1": 0.9351}),
    }
    keys, options = {"save_total_limit": 8}, {"views": _views(args), "gallery": 0}
    work.ahead(work.trainings(dict.fromkeys(stated, keys)))
    checkpoints = {name: work.train(name, keys).parent / "phases" / "00-train" for name in stated}
    reports = {f"every_checkpoint_{name}": [folder] for name, folder in checkpoints.items()}
    work.ahead({f"evaluating {n}": partial(work.evaluate, n, folder, **options) for n, folder in reports.items()})
    for name, (what, theirs) in stated.items():
        report = work.evaluate(f"every_checkpoint_{name}", [checkpoints[name]], **options)
        last = Path(report["models"][-1]["path"])
        rows += overall(f"{what}, last epoch", report, last, theirs)
    return write_result(work, rows, _differences(args, "140,000 faces of 256 pixels in training, 10,905 in test"))


def s2(work: Work, args: Namespace) -> dict[str, Any]:
    """Train in three steps on 32-pixel images, and evaluate clean, under FGSM, and both together."""
    make_data(work, args, lambda new: _drawn(new, args, Draw(**args.draw, side=32)))
    keys, differences = _backbone(
        args, _differences(args, "CIFAKE's 100,000 images in training, 20,000 in test"), "B2"
    )
    model = work.train("s2_efficientnet_b2", keys)
    report = work.evaluate("report", [model], views=["raw"], attacks=["fgsm"], strengths=[0.0, 0.05], audit=False)
    found = entry(report, model)["scenarios"]
    stated = {
        "clean": {"accuracy": 0.9472, "f1": 0.9476, "auroc": 0.9872},
        "fgsm": {"accuracy": 0.9465, "f1": 0.9473, "auroc": 0.9870},
        "mixed": {"accuracy": 0.9470, "f1": 0.9475, "auroc": 0.9871},
    }
    rows = [
        Row(what, metric, number, {split: one["scenarios"][what][metric] for split, one in found.items()})
        for what, theirs in stated.items()
        for metric, number in theirs.items()
    ]
    return write_result(work, rows, differences, {"threshold": entry(report, model)["decision_threshold"]})


def s3(work: Work, args: Namespace) -> dict[str, Any]:
    """Split 70/15/15, train the head for 5 epochs and the last 30 layers for 10, and evaluate."""
    make_data(work, args, lambda new: _cut(new, args, Draw(**args.draw)))
    keys, differences = _backbone(args, _differences(args, "data of the user's own"), "B0")
    model = work.train("s3_efficientnet_b0", keys)
    report = work.evaluate("report", [model], views=_views(args))
    rows = overall("EfficientNet", report, model, {"accuracy": ".90 to .95", "auroc": ".95 to .98"})
    return write_result(work, rows, differences)


def make_data(work: Work, args: Namespace, write: Callable[[Path], Splits]) -> None:
    """Make the image sets that a system wants, if they are not there, or take SOURCE as it is.

    Args:
        work: Learns where the data are, and which splits are evaluated.
        args: The command line.
        write: Writes them to a folder, and returns what is in each split.

    Raises:
        UserError: If several SOURCEs are to be taken as they are.
    """
    names = [Path(spec).name if Path(spec).exists() else spec for spec in args.data]
    record: dict[str, Any] = {"sources": names, "splits": {}}
    work.splits = (args.test_split, *([args.unseen_split] if args.unseen_split else []))
    if args.as_is:
        if len(args.data) > 1:
            raise UserError("--as_is takes one SOURCE with splits of its own: name one with --data.")
        work.data = args.data[0]
        write_json(work.folder / "set.json", record)
        return
    work.splits = ("test", *work.splits[1:])
    work.data = str(work.folder / "data")
    record["drawn"] = {k: v for k, v in args.draw.items() if k != "sources"}
    path = work.folder / "set.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if other := [key for key in ("sources", "drawn") if before.get(key) != record[key]]:
            raise UserError(f"{work.folder} holds a run with other {other[0]}. Name another --output, or remove it.")
    else:
        with work.timed("data"), atomic_directory(work.folder / "data") as new:
            record["splits"] = write(new)
        write_json(path, record)
    if args.unseen_split:
        work.splits = ("test", "unseen")


def unseen(new: Path, args: Namespace, draw: Draw, taken: set[str]) -> Splits:
    """Write the split of unseen generators, if one was named."""
    return {"unseen": write_split(new, "unseen", draw.rows(args.unseen_split, taken))} if args.unseen_split else {}


def _drawn(new: Path, args: Namespace, draw: Draw) -> Splits:
    """Write `train`, `test` and `unseen`; validation is held out of training by the recipe."""
    taken: set[str] = set()
    splits = {"train": write_split(new, "train", draw.rows(args.train_split, taken))}
    splits["test"] = write_split(new, "test", draw.rows(args.test_split, taken))
    return splits | unseen(new, args, draw, taken)


def _cut(new: Path, args: Namespace, draw: Draw) -> Splits:
    """Split one set 70/15/15, near-duplicates together, and write `train`, `val` and `test`, and `unseen`."""
    taken: set[str] = set()
    raw = new.parent / "raw"
    raw.mkdir()
    write_split(raw, "train", draw.rows(args.train_split, taken))
    report = prepare(str(raw), ["train"], new, Preparation(seed=draw.seed))
    shutil.rmtree(raw)
    print(f"{report['result']}", flush=True)  # the counts of each class
    return {split: about(new, split) for split in report["result"]} | unseen(new, args, draw, taken)


def _backbone(args: Namespace, differences: list[str], theirs: str) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of a recipe that trains another backbone, or from other weights, and what differs then."""
    keys: dict[str, Any] = {}
    if args.weights:
        keys = {"weights": str(Path(args.weights).resolve())}
        differences = [line for line in differences if RANDOM not in line]
    if args.backbone:
        keys |= {"model_options": {"backbone": args.backbone}}
        if "lite" in args.backbone:  # whose weights were made with these
            keys |= {"processor_options": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}}
        differences = [
            *differences,
            f"the backbone is timm's `{args.backbone}`, where theirs is EfficientNet-{theirs}.",
        ]
    return keys, differences


def _views(args: Namespace) -> list[str]:
    return ["raw"] if args.smoke else ["raw", "normalised"]


def _differences(args: Namespace, theirs: str, networks: str = "all networks") -> list[str]:
    """Return what sets any run apart from theirs."""
    names = ", ".join(Path(spec).name for spec in args.data)
    found = [] if args.as_is else [f"the data are {names}, where theirs are {theirs}."]
    found += [] if args.pretrained else [f"{networks} start {RANDOM}"]
    if args.batch:
        found.append(
            f"batches of theirs are accumulated from passes of {args.batch} images, with statistics of these."
        )
    return found
