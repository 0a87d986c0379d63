"""S4's protocol: three networks before and after adversarial training, their ensemble, and the ablation."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from beside import Call
from matplotlib.figure import Figure
from PIL import Image
from protocols import RANDOM, Splits, make_data, unseen
from sets import Draw, augmented, split_in_two, write_split
from table import Row, entry, overall, write_result
from work import Work

from fakelens.atomic import write_file
from fakelens.cli.submission import predict_folder, submission
from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.evaluation.ablation.ablation import Ablation, ablate, folder_name, recipe_of
from fakelens.evaluation.plots.plots import STYLE, save
from fakelens.explain.maps.heatmap import heat_map, overlay
from fakelens.inference.detector import load_detector
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe, overrides_of

SIDE, PER_CLASS, AUGMENTED, VALIDATION = 32, 1000, 500, 0.2
NETWORKS = {
    "s4_convnext_tiny": ("ConvNeXt-Tiny", 0.9940),
    "s4_efficientnet_b0": ("EfficientNet-B0", 0.6940),
    "s4_resnet_se": ("ResNet-SE", 0.6880),
}
DEGRADED = {"noise_0.05": ("noise", 0.8240), "blur_1": ("blur", 0.5960), "jpeg_50": ("JPEG", 0.9180)}
EPS = 0.05
# The ablation's fractions of attacked batches by its seeds.
ABLATED: dict[int, tuple[str, ...]] = {42: ("0", "0.1", "0.3", "0.5", "1"), 43: ("0", "1"), 44: ("0", "1")}
SMOKE_ABLATED: dict[int, tuple[str, ...]] = {42: ("0", "1"), 43: ("1",)}
SMOKE_IMAGES = 4  # that are attacked, and degraded
SAMPLES = 3  # of each class, in the Grad-CAM panel
# The split is on disk, and the augmented images with it.
ON_DISK: dict[str, Any] = {"holdout": None, "augmentation": []}
DIFFERENCES = (
    "the 500 augmented images are made of training images alone, so that validation holds no copy of one.",
    "theirs adds 400 FGSM images to the data beforehand; here FGSM is in the second phase alone, as a recipe has it.",
    "FGSM attacks one network at a time, never the ensemble; theirs does not say which network it attacked.",
    "theirs does not state the strengths of noise, blur and JPEG; ours are sigma .05, sigma 1 pixel, quality 50.",
    "the ablation's runs begin with one base, trained once; its seeds vary the second phase alone.",
)


def s4(work: Work, args: Namespace) -> dict[str, Any]:
    """Draw the images, train three networks in two phases, join them, attack, degrade, explain and ablate."""
    if args.as_is:
        raise UserError("S4 draws its images, 1,000 of each class at 32 pixels: leave --as_is out.")
    make_data(work, args, lambda new: _write(new, args))
    work.splits = ("validation", *work.splits[1:])
    work.ahead(work.trainings(dict.fromkeys(NETWORKS, ON_DISK)))
    members = [str(work.train(name, ON_DISK)) for name in NETWORKS]
    ensemble = work.train("s4_ensemble", {"holdout": None, "members": members})
    before = {name: work.models[name].parent / "phases" / "00-base" / "model" for name in NETWORKS}
    after = {name: work.models[name] for name in NETWORKS}
    models = [*before.values(), *after.values(), ensemble]
    found: dict[str, Any] = {"views": ["raw"], "attacks": ["fgsm"], "robustness": True, "audit": False}
    if work.is_smoke:
        few = {"attack_limit": SMOKE_IMAGES, "robustness_limit": SMOKE_IMAGES}
        found |= few | {"strengths": (0.0, EPS), "gallery": 0}
    ablated = ablations(work, args.ablate) if args.ablate != "none" else {}
    # The ensemble first: it takes the longest.
    work.ahead(work.evaluations("report", models[::-1], **found) | second_phases(work, ablated))
    work.ahead({"report": partial(work.evaluate, "report", models, **found)} | {
        f"ablation, seed {seed}": partial(ablate_seed, work, *one) for seed, one in ablated.items()
    })  # fmt: skip
    report = work.evaluate("report", models, **found)
    rows: list[Row] = []
    for name, (what, accuracy) in NETWORKS.items():
        rows += overall(what, report, after[name], {"accuracy": accuracy})
    rows += overall("ensemble", report, ensemble, {"accuracy": 0.9960})
    rows += _degraded(report, ensemble)
    for name, (what, _) in NETWORKS.items():
        rows.append(_attacked(f"{what}, FGSM at .05, before", report, before[name], ".40"))
        rows.append(_attacked(f"{what}, FGSM at .05, after", report, after[name], ".70"))
    with work.timed("Grad-CAM and submission"):
        named = {f"{NETWORKS[n][0]}, {w}": m[n] for n in NETWORKS for w, m in (("before", before), ("after", after))}
        cam_panel(work.data, named, work.folder / "grad_cam.png")
        write_submission(work.data, ensemble, work.folder)
    differences = [f"the data are {', '.join(Path(s).name for s in args.data)}, drawn by seed {args.draw['seed']}."]
    differences += [] if args.pretrained else [f"ConvNeXt-Tiny and EfficientNet-B0 start {RANDOM}"]
    further = {"ablation": ablation(work, args.ablate, ablated)} if ablated else {}
    return write_result(work, rows, [*differences, *DIFFERENCES], further)


def ablations(work: Work, network: str) -> dict[int, tuple[Ablation, Path]]:
    """Return what to train, and where, for each seed: the second phase at five fractions, at the two ends with others.

    Args:
        work: Whose base is taken; with `is_smoke` fewer fractions, seeds, strengths and images.
        network: Such as "resnet_se".
    """
    name = f"s4_{network}"
    recipe_keys = work.recipe_keys(name, work.folder / "unused", ON_DISK)
    phase = load_recipe(name, overrides_of(recipe_keys)).run.phases[1]
    keys = {k: v for k, v in recipe_keys.items() if not k.startswith("phases.") and k not in ("output_dir", "resume")}
    base = work.models[name].parent / "phases" / "00-base" / "model"
    keys |= {"start_from": str(base), "architecture": None, "image_size": None, "pretrained": False, "phases": [phase]}
    less: dict[str, Any] = {"strengths": (0.0, EPS), "attack_limit": SMOKE_IMAGES} if work.is_smoke else {}
    return {
        seed: (
            Ablation(
                recipe=name,
                key="phases.0.adversarial.fraction",
                values=values,
                overrides=overrides_of(keys | {"seed": seed}),
                split="validation",
                attacks=["fgsm"],
                **less,
            ),
            work.folder / f"ablation_{network}" / f"seed-{seed}",
        )
        for seed, values in (SMOKE_ABLATED if work.is_smoke else ABLATED).items()
    }


def second_phases(work: Work, ablated: Mapping[int, tuple[Ablation, Path]]) -> dict[str, Call]:
    """Return the ablation's trainings that are not finished, for `Work.ahead`."""
    return {
        f"ablation, seed {seed}, fraction {value}": partial(train_fraction, work, asked, value, folder)
        for seed, (asked, folder) in ablated.items()
        for value in asked.values
        if not (folder / folder_name(value) / "model" / "run.json").exists()
    }


def train_fraction(work: Work, asked: Ablation, value: str, folder: Path) -> None:
    """Train one of an ablation's values, for `ablate` to evaluate."""
    with work.timed(f"ablation, {folder.name}, fraction {value}"):
        train(recipe_of(asked, value, folder))


def ablate_seed(work: Work, asked: Ablation, folder: Path) -> dict[str, Any]:
    """Train and evaluate what is not yet, and return the record of it all."""
    with work.timed(f"ablation, {folder.name}"):
        return ablate(asked, folder)


def ablation(work: Work, network: str, ablated: Mapping[int, tuple[Ablation, Path]]) -> list[dict[str, Any]]:
    """Train the second phase at five fractions of attacked batches, the two ends with two more seeds.

    Args:
        work: Whose base is taken.
        network: Such as "resnet_se".
        ablated: What `ablations` returned.

    Returns:
        For each fraction: `fraction`, `seeds`, and by seed `clean` and `attacked`, the accuracy at FGSM .05.
    """
    found: dict[str, dict[str, Any]] = {}
    for seed, (asked, folder) in ablated.items():
        for one in ablate_seed(work, asked, folder)["results"]:
            if one["status"] != "done":
                raise UserError(f"The ablation's fraction {one['value']} failed: {one['error']}")
            attacked = next(row["accuracy"] for row in one["attacks"]["fgsm"] if row["eps"] == EPS)
            entry = found.setdefault(str(one["value"]), {"seeds": [], "clean": [], "attacked": []})
            for key, value in (("seeds", seed), ("clean", one["metrics"]["accuracy"]), ("attacked", attacked)):
                entry[key].append(value)
    return [{"network": NETWORKS[f"s4_{network}"][0], "fraction": float(value)} | one for value, one in found.items()]


def cam_panel(data: str, models: Mapping[str, Path], path: Path) -> None:
    """Draw the first images of validation, and the Grad-CAM map of each model over them.

    Args:
        data: The SOURCE.
        models: Their folders by name.
        path: The plot's file.
    """
    chosen: dict[int, list[Image.Image]] = {REAL: [], FAKE: []}
    for example in examples(open_source(data, "validation"), SkipLog()):
        if len(chosen[example.label]) < SAMPLES:
            chosen[example.label].append(example.image.image)
    images = [(label, image) for label, found in chosen.items() for image in found]
    detectors = {name: load_detector(folder) for name, folder in models.items()}
    columns = len(detectors) + 1
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.3 * columns, 1.4 * len(images) + 0.8), layout="constrained")
        figure.suptitle("Grad-CAM: blue speaks for real, red for fake", fontsize=10)
        for row, (label, image) in enumerate(images):
            shown = [overlay(image, heat_map(detector, image)) for detector in detectors.values()]
            for column, cell in enumerate([image, *shown]):
                axes = figure.add_subplot(len(images), columns, row * columns + column + 1)
                axes.imshow(cell, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                if row == 0 and column:
                    axes.set_title(list(detectors)[column - 1].replace(", ", "\n"), fontsize=7)
                if column == 0:
                    axes.set_ylabel(ID2LABEL[label])
        save(figure, path)


def write_submission(data: str, model: Path, folder: Path) -> None:
    """Write validation images as files, and the ensemble's predictions of them as `submission.json`.

    Args:
        data: The SOURCE.
        model: The ensemble's folder.
        folder: Where `images/` and `submission.json` go.
    """
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for number, example in enumerate(examples(open_source(data, "validation"), SkipLog()), 1):
        (images / f"{number}.png").write_bytes(example.data)
    write_file(folder / "submission.json", submission(predict_folder(load_detector(model), images)))


def _write(new: Path, args: Namespace) -> Splits:
    """Write `train`, with augmented copies, `validation`, and `unseen`."""
    draw = Draw(**{"per_class": PER_CLASS} | {k: v for k, v in args.draw.items() if v is not None}, side=SIDE)
    taken: set[str] = set()
    train, validation = split_in_two(draw.rows(args.train_split, taken), VALIDATION, draw.seed)
    recipe = load_recipe("s4_resnet_se")
    copies = augmented(train, min(AUGMENTED, len(train) // 3), recipe.data.augmentation, draw.seed)
    splits = {"train": write_split(new, "train", train + copies) | {"augmented": len(copies)}}
    splits["validation"] = write_split(new, "validation", validation)
    return splits | unseen(new, args, draw, taken)


def _degraded(report: Mapping[str, Any], model: Path) -> list[Row]:
    rows = []
    for protocol, (what, theirs) in DEGRADED.items():
        ours = {
            split: next(step["accuracy"] for step in found["steps"] if step["protocol"] == protocol)
            for split, found in entry(report, model)["robustness"].items()
        }
        rows.append(Row(f"ensemble, {what}", "accuracy", theirs, ours))
    return rows


def _attacked(what: str, report: Mapping[str, Any], model: Path, theirs: str) -> Row:
    tables: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = entry(report, model)["attacks"]
    ours = {
        split: next(row["accuracy"] for row in methods["fgsm"] if row["eps"] == EPS)
        for split, methods in tables.items()
    }
    return Row(what, "accuracy", theirs, ours)
