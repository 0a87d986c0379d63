r"""Join trainings that left collections out into one detector, calibrated on what each of them left out.

    python benchmarks/flagship/combine.py --runs runs/roland runs/dhanush runs/gpt-nano --output runs/flagship
    python benchmarks/flagship/combine.py --runs W/roland W/dhanush W/gpt-nano --everything W/everything --output new

Each run is one of train.py with `--leave_out`. The weights are those of a training of the same way on everything, or
the runs' mean (model soups, Wortsman et al. 2022, https://arxiv.org/abs/2203.05482) where they are so short that they
stay near to what they began with: either way the result learnt from every collection. Thresholds
come from images that the run which scores them left out (that its first weights never met them either is the caller's
to see to): each run scores these, and its log-odds are
brought to the scale of the joint weights' by a line fitted, without labels, on validation images. OUTPUT gets `model/`
(with `run.json`) and `left_out.json`: AUROC by collection left out, and what the verdicts come to there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bundle import Bundle, read_bundle
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.special import expit
from scipy.stats import binomtest
from scoring import collection, table

from fakelens.atomic import write_json
from fakelens.cli.script import parse, script
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.inference.detector import Detector
from fakelens.inference.loading import load_network
from fakelens.training.calibration.calibration import Scored, fit, score_images
from fakelens.training.calibration.platt import log_odds
from fakelens.training.loop.record import now

TARGETS = {
    "macro AUROC": 0.80,
    "worst collection": 0.65,
    "fraction decided": 0.60,
    "error among the decided": 0.10,
    "camera originals predicted fake": 0.03,
    "fakes predicted real": 0.10,
}


@dataclass
class CombineArguments:
    """What to join."""

    runs: list[str] = field(metadata={"help": "Folders written by train.py, of one bundle, with --leave_out."})
    output: str = field(metadata={"help": "New folder."})
    everything: str | None = field(
        default=None, metadata={"help": "A training on everything, whose weights are taken; default: the runs' mean."}
    )
    before: str | None = field(
        default=None, metadata={"help": "The training whose weights that on everything began with; for the record."}
    )
    bundle: str | None = field(default=None, metadata={"help": "Where the runs' bundle is, if it was moved."})
    limit: int = field(default=150, metadata={"help": "Images of a collection that are scored, at most."})
    max_fpr: float = field(
        default=0.05, metadata={"help": "Fraction of real images left out that may be predicted fake."}
    )
    max_miss: float = field(default=0.10, metadata={"help": "Fraction of fakes left out that may be predicted real."})
    license: str = field(default="cc-by-nc-4.0", metadata={"help": "Licence of the weights, as the Hub spells it."})


def main(args: CombineArguments) -> dict[str, Any]:
    """Join, calibrate, write, and print what the verdicts come to on collections left out."""
    out = Path(args.output)
    if (out / "model").exists():
        raise UserError(f"{out} holds a model already. Name a new folder with --output.")
    reports = [_report(Path(run)) for run in args.runs]
    if any(report["bundle"] != reports[0]["bundle"] for report in reports):
        raise UserError("These runs were trained from different bundles; train all from one.")
    folder = Path(args.bundle or reports[0]["arguments"]["bundle"])
    taken = [args.everything] if args.everything else args.runs
    trained = [_report(Path(run), whole=args.everything is not None) for run in taken]
    _join_weights([Path(run) / "model" for run in taken], out / "model")
    joint = Detector(*load_network(str(out / "model")), "joint", "cpu")
    scored, rows = _score_left_out(joint, args, reports, folder)
    record = fit(joint, scored, "0.5", "platt", args.max_fpr, args.max_miss)
    found = outcome(joint, scored, rows, record["bias"] * np.asarray(scored.effect))
    joint.model.save_pretrained(out / "model")
    joint.processor.save_pretrained(out / "model")
    write_json(out / "model" / "run.json", _record(args, reports, trained, record, found, joint))
    write_json(out / "left_out.json", found | {"calibration": record})
    print(markdown(found))
    return found


def outcome(joint: Detector, scored: Scored, rows: Sequence[dict[str, Any]], bias: np.ndarray) -> dict[str, Any]:
    """Return AUROC by collection left out, and what the verdicts come to.

    Args:
        joint: The calibrated detector, for its thresholds.
        scored: What the runs said of what they left out, before calibration.
        rows: These images' rows, in the same order, each with `fold`.
        bias: What calibration adds to each image's log-odds.
    """
    labels, names = scored.labels, np.array([collection(row) for row in rows])
    folds = np.array([row["fold"] for row in rows])
    odds = log_odds(scored.probabilities)
    tables = [table(odds[folds == fold], names[folds == fold], labels[folds == fold]) for fold in sorted(set(folds))]
    means = {fake: float(np.mean(list(values.values()))) for one in tables for fake, values in one["pairs"].items()}
    scores = expit(odds / joint.temperature + bias)
    words = joint.thresholds().verdicts(scores)
    fake, real = words == "fake", words == "real"
    cameras = (names == "cameras") & (labels == REAL)
    decided, wrong = fake | real, (fake & (labels == REAL)) | (real & (labels == FAKE))
    return {
        "pairs": {name: values for one in tables for name, values in one["pairs"].items()},
        "images": {str(name): int((names == name).sum()) for name in sorted(set(names))},
        "macro AUROC": {"value": float(np.mean(list(means.values())))},
        "worst collection": {"value": min(means.values()), "name": min(means, key=lambda name: means[name])},
        "fraction decided": _rate(decided),
        "error among the decided": _rate(wrong[decided]),
        "camera originals predicted fake": _rate(fake[cameras]),
        "real images predicted fake": _rate(fake[labels == REAL]),
        "fakes predicted real": _rate(real[labels == FAKE]),
        "fakes predicted fake": _rate(fake[labels == FAKE]),
        "real images predicted real": _rate(real[labels == REAL]),
    }


def markdown(found: dict[str, Any]) -> str:
    """Return the two tables of benchmarks/flagship.md: AUROC by collection left out, and the verdicts there."""
    real_names = list(dict.fromkeys(real for values in found["pairs"].values() for real in values))
    lines = [
        f"| fakes left out | images | {' | '.join(f'against {real}' for real in real_names)} |",
        "|---|---|" + "---|" * len(real_names),
    ]
    for fake, values in found["pairs"].items():
        cells = " | ".join(f"{values[real]:.2f}" if real in values else "" for real in real_names)
        lines.append(f"| {fake} | {found['images'][fake]} | {cells} |")
    lines += ["", "| on collections left out | target | reached |", "|---|---|---|"]
    for name, value in found.items():
        if not isinstance(value, dict) or "value" not in value:
            continue
        ends = f" ({value['low']:.2f} to {value['high']:.2f}), of {value['count']}" if "low" in value else ""
        target = TARGETS.get(name)
        lines.append(f"| {name} | {'' if target is None else f'{target:.2f}'} | {value['value']:.2f}{ends} |")
    return "\n".join(lines)


def _report(run: Path, whole: bool = False) -> dict[str, Any]:
    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{run} holds no finished training: it has no report.json.") from None
    if not whole and not report["arguments"]["leave_out"]:
        raise UserError(f"{run} left nothing out, so it has nothing to calibrate on. Train with --leave_out.")
    return report


def _join_weights(folders: Sequence[Path], output: Path) -> None:
    """Write the mean of several folders' weights, with the first one's settings and processor."""
    parts = [load_file(folder / "model.safetensors") for folder in folders]
    joined = {}
    for name, first in parts[0].items():
        mean = sum(part[name].double() for part in parts) / len(parts)
        joined[name] = mean.to(first.dtype) if first.is_floating_point() else first
    output.mkdir(parents=True)
    save_file(joined, output / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "preprocessor_config.json"):
        (output / name).write_bytes((folders[0] / name).read_bytes())


def _score_left_out(
    joint: Detector, args: CombineArguments, reports: Sequence[dict[str, Any]], folder: Path
) -> tuple[Scored, list[dict[str, Any]]]:
    """Let each run score what it left out, on the scale of the joint weights' log-odds."""
    rows: list[dict[str, Any]] = []
    parts: list[Scored] = []
    for number, (run, report) in enumerate(zip(args.runs, reports, strict=True)):
        bundle = read_bundle(folder, report["arguments"]["leave_out"])
        detector = Detector(*load_network(str(Path(run) / "model")), run, "cpu")
        slope, shift = _scale(joint, detector, bundle)
        chosen = _some(bundle.left_out, args.limit)
        said = _scored(detector, chosen)
        fake = expit(slope * log_odds(said.probabilities) + shift)
        parts.append(Scored(np.stack([1 - fake, fake], axis=1), said.labels, said.images, said.effect))
        rows += [row | {"fold": number} for row in chosen]
        print(
            f"{run}: {len(chosen)} images left out; joint log-odds = {slope:.3f} of its own {shift:+.3f}", flush=True
        )
    joined = Scored(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].images,
        np.concatenate([np.asarray(part.effect) for part in parts]),
    )
    return joined, rows


def _scale(joint: Detector, detector: Detector, bundle: Bundle) -> tuple[float, float]:
    """Return the line that brings a run's log-odds to the joint weights', fitted on validation images."""
    rows = _some(bundle.validation, 20)
    own, other = (log_odds(_scored(one, rows).probabilities) for one in (detector, joint))
    slope, shift = np.polyfit(own, other, 1)
    return float(slope), float(shift)


def _scored(detector: Detector, rows: Sequence[dict[str, Any]]) -> Scored:
    return score_images(detector, ((Image.fromarray(row["pixels"]), row["label"]) for row in rows))


def _some(rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` rows of each collection, the same ones each time."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest()):
        found.setdefault(collection(row), []).append(row)
    return [row for name in sorted(found) for row in found[name][:limit]]


def _rate(chosen: np.ndarray) -> dict[str, Any]:
    """Return a proportion with its interval of 95 % after Wilson (1927)."""
    if not len(chosen):
        return {"value": float("nan"), "low": 0.0, "high": 1.0, "count": 0}
    ends = binomtest(int(chosen.sum()), len(chosen)).proportion_ci(method="wilson")
    return {"value": float(chosen.mean()), "low": float(ends.low), "high": float(ends.high), "count": len(chosen)}


def _record(
    args: CombineArguments, reports: Sequence[dict[str, Any]], trained: Sequence[dict[str, Any]],
    calibration: dict[str, Any], found: dict[str, Any], joint: Detector,
) -> dict[str, Any]:  # fmt: skip
    first = trained[0]
    before = [_report(Path(args.before), whole=True)] if args.before else []
    return {
        "name": "patch_lens",
        "recipe": {"architecture": "patch_lens", "license": args.license}
        | {key: first["arguments"][key] for key in ("steps", "batch", "learning_rate", "weight_decay", "average")}
        | {"draw": first["draw"], "leave_out": [report["arguments"]["leave_out"] for report in reports]},
        "started": now(),
        "duration_s": sum(report["seconds"] for report in [*before, *trained]),
        "environment": first["environment"],
        "processes": len(trained),
        "data": {
            "description": "two development pools of images whose sources mostly state no licence",
            "train_split": "train",
            "validation_split": "validation",
            "held_out": [],  # of the training on everything; what the others left out stands in the recipe
            "rows": first["bundle"]["images"]["train"],
            "classes": ["real", "fake"],
            "crops": sum(report["crops"] for report in [*before, *trained]),
            "before": [
                {key: report[key] for key in ("steps", "crops", "seconds", "device", "draw")} for report in before
            ],
            "first_weights_sha256": (before or [first])[0]["bundle"]["weights_sha256"],
        },
        "license": args.license,
        "parameters": joint.model.num_parameters(),
        "calibration": calibration,
        "left_out": {key: value for key, value in found.items() if key != "images"},
    }


if __name__ == "__main__":
    arguments = parse(CombineArguments, __doc__)
    with script("combine"):
        main(arguments)
