"""The part of an evaluation report that is about one checkpoint, or a reason why there is none."""

import filecmp
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakelens.errors import UserError
from fakelens.evaluation.analysis.verdicts import TWO_VERDICTS, at
from fakelens.hub.facts.checkpoint import Checkpoint, read_json, weights_hash
from fakelens.hub.facts.public_name import Origin, origin_of, without_paths
from fakelens.inference.thresholds import Thresholds, thresholds_of

REPORT = "report.json"
SCHEMA_VERSION = 4
OLD_VERSIONS = (
    2,
    3,
)  # still read: verdicts were counted for the whole band alone, and in 2 these keys had other names
RENAMED = {
    "judged": "scored",
    "judged_false_positive_rate": "covered_false_positive_rate",
    "reals_became_fake": "real_to_fake",
    "fakes_became_real": "fake_to_real",
    "share": "fake_fraction",
}

# What cards and model-index state of a view's overall numbers, in this order: key in the report, name for people, to
# which `Report.title` adds where two verdicts are counted.
METRICS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "specificity": "Specificity",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "tpr_at_5_fpr": "TPR at 5 % FPR",
    "tpr_at_1_fpr": "TPR at 1 % FPR",
    "ece": "Expected calibration error",
    "brier": "Brier score",
}

# What is counted, beside them.
COUNTS = ("real", "fake", "false_positives", "false_negatives")
PER_GENERATOR = ("auroc", "recall")
# The kinds of plots that a card shows, drawn as `plots/KIND_SPLIT_VIEW.png`.
SHOWN_PLOTS = ("roc", "confusion", "generators")

Numbers = dict[str, float | None]
Interval = list[float] | None  # low and high end


@dataclass(frozen=True)
class View:
    """A model's numbers on one view of a split.

    Attributes:
        overall: Metrics in [0, 1], None where undefined, and counts, all with two verdicts.
        verdicts: What `fakelens.evaluation.analysis.verdicts` counted where the verdict changes; from an older report
            what its band tells of it, and None for the rest.
        per_generator: AUROC, recall of the verdict (`verdict_recall`) and with two verdicts (`recall`), and number of
            images ("fake") of each generator's images.
        intervals: The 95 % intervals of the overall metrics, None where there is none.
        generator_intervals: Those of each generator's AUROC.
        band: What the uncertain band leaves out and what errors are left, see `fakelens.evaluation.analysis.coverage`.
        reliability: ECE and so on, with the model's temperature and without: `before` and `after`.
    """

    overall: Numbers
    verdicts: dict[str, Any]
    per_generator: dict[str, Numbers]
    intervals: dict[str, Interval]
    generator_intervals: dict[str, Interval]
    band: dict[str, Any]
    reliability: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Report:
    """What an evaluation found of one model.

    Attributes:
        folder: The report's folder, which its plots are relative to.
        created: When it was made, ISO 8601.
        fakelens_version: Of the package that made it.
        environment: Python, torch, device, ... that it was made with.
        origin: The data it was made on.
        description: That data in words.
        splits: Rows, rows scored, and rows skipped by reason, by split.
        parameters: The model's parameter count.
        name: What the report, and its plots, call the model.
        models: How many models the report is about.
        thresholds: Where its verdict changed.
        images_per_second: Speed on that environment's device.
        results: Its numbers by split and view ("raw", "normalised", ...).
        plots: The plots to show, as paths relative to `folder`, by split, kind and view; those of a report about
            several models show them all.
        audit: What file facts alone score, by split: see `fakelens.data.audit.audit`, or `not_audited` with the
            reason; empty if the audit was turned off.
        temperature: What the model divides its logits by.
        robustness: What `robustness_table` found, by split; empty if nobody asked.
        unseen_generators: Generators that were held out of its training; None if its record does not say.
    """

    folder: Path
    created: str
    fakelens_version: str
    environment: dict[str, Any]
    origin: Origin
    description: str
    splits: dict[str, dict[str, Any]]
    parameters: int
    name: str
    models: int
    thresholds: Thresholds
    images_per_second: float | None
    results: dict[str, dict[str, View]]
    plots: dict[str, dict[str, dict[str, str]]]
    audit: dict[str, dict[str, Any]]
    temperature: float
    robustness: dict[str, dict[str, Any]]
    unseen_generators: list[str] | None

    def title(self, key: str) -> str:
        """Return the name of one of `METRICS`; of one that counts two verdicts with the threshold between them."""
        return f"{METRICS[key]} {at(self.thresholds.decision)}" if key in TWO_VERDICTS else METRICS[key]


def read_report(folder: Path, checkpoint: Checkpoint) -> Report:
    """Read the report that `fakelens evaluate` wrote to a folder, and find the checkpoint in it.

    A model is found by the path it was evaluated at, or as a copy of what lies there; one that was moved away from
    there, by its folder's name. In each case its architecture, weights and thresholds have to be the checkpoint's.

    Args:
        folder: The evaluation's `--output`.
        checkpoint: The model that is to be published.

    Raises:
        UserError: If there is no such report, it is of another schema, or it is about other models.
    """
    path = folder / REPORT
    if not path.is_file():
        raise UserError(f"No {REPORT} in {folder}. Name the folder that fakelens evaluate wrote with --output.")
    content = read_json(path)
    version = content.get("schema_version")
    if version not in (*OLD_VERSIONS, SCHEMA_VERSION):
        raise UserError(
            f"{path} has schema version {version}; this fakelens reads {OLD_VERSIONS[0]} to {SCHEMA_VERSION}. "
            "Evaluate again."
        )
    try:
        if version == OLD_VERSIONS[0]:
            content = _renamed(content)
        model = _entry(path, content["models"], checkpoint)
        return Report(
            folder=folder,
            created=content["created"],
            fakelens_version=content["fakelens_version"],
            environment=without_paths(content["environment"]),
            origin=origin_of(content["data"]["source"], content["data"].get("revision")),
            description=content["data"]["description"],
            splits=content["data"]["splits"],
            parameters=model["parameters"],
            name=model["name"],
            models=len(content["models"]),
            thresholds=_thresholds(model),
            images_per_second=model["images_per_second"],
            results={
                split: {
                    name: _view(view, model["coverage"][split][name], model["reliability"][split][name])
                    for name, view in views.items()
                }
                for split, views in model["results"].items()
            },
            plots=_plots(folder, content["plots"], model["results"]),
            audit=content["data"]["audit"],
            temperature=model["temperature"],
            robustness=model.get("robustness", {}),
            unseen_generators=model["unseen_generators"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is incomplete ({error}). Evaluate again with fakelens evaluate.") from None


def _renamed(content: Any) -> Any:
    """Return a report of the old schema with the names that its keys have now."""
    if isinstance(content, dict):
        return {RENAMED.get(key, key): _renamed(value) for key, value in content.items()}
    return [_renamed(value) for value in content] if isinstance(content, list) else content


def _entry(path: Path, models: list[dict[str, Any]], checkpoint: Checkpoint) -> dict[str, Any]:
    found = [m for m in models if _is_about(m, checkpoint)]
    way_out = f"Evaluate this one: fakelens evaluate --model {checkpoint.folder} --data SOURCE --output {path.parent}"
    if not found:
        known = ", ".join(f"{m['name']} ({m['path']})" for m in models) or "no model"
        raise UserError(f"{path} is about {known}, not about {checkpoint.folder}. {way_out}")
    if found[0]["architecture"] != checkpoint.architecture:
        raise UserError(
            f"{path} is about a {found[0]['architecture']} at {found[0]['path']}, but {checkpoint.folder} holds a "
            f"{checkpoint.architecture}. {way_out}"
        )
    _check_weights(path, found[0], checkpoint, way_out)
    return found[0]


def _check_weights(path: Path, model: dict[str, Any], checkpoint: Checkpoint, way_out: str) -> None:
    """Refuse a report that was made before the folder's weights or threshold were changed."""
    if not _has_weights(checkpoint, model["weights_sha256"]):
        raise UserError(f"{path} is about other weights than {checkpoint.folder} holds now. {way_out}")
    then, now = _thresholds(model), thresholds_of(checkpoint.config)
    if then.decision != now.decision:
        raise UserError(
            f"{path} was made with the decision threshold {then.decision:.6g}; {checkpoint.folder} has "
            f"{now.decision:.6g} now. {way_out}"
        )
    if (then.real_below, then.fake_from) != (now.real_below, now.fake_from):
        raise UserError(
            f"{path} was made when the verdict was {then.in_words()}; of {checkpoint.folder} it is now "
            f"{now.in_words()}. {way_out}"
        )


def _has_weights(checkpoint: Checkpoint, expected: str) -> bool:
    """Tell whether a folder's weights have a hash that `fakelens.inference.identity` gave."""
    # The file's tensors are the network's, save where it loads them in another type: then it is built, which takes
    # torch and seconds.
    if weights_hash(checkpoint) == expected:
        return True
    from fakelens.inference.detector import load_detector
    from fakelens.inference.identity import identity

    return identity(load_detector(checkpoint.folder, device="cpu"))["weights"] == expected


def _is_about(model: dict[str, Any], checkpoint: Checkpoint) -> bool:
    there, here = Path(model["path"]).expanduser().resolve(), checkpoint.folder.resolve()
    if not there.is_dir():
        return there.name == here.name
    # A name like `model` or `best` says nothing while the evaluated folder is still there to be compared with.
    return there == here or not any(filecmp.cmpfiles(there, here, checkpoint.files, shallow=False)[1:])


def _view(view: dict[str, Any], coverage: dict[str, Any], reliability: dict[str, dict[str, Any]]) -> View:
    overall, generators = view["overall"], view["per_generator"]
    return View(
        overall=_numbers(overall, METRICS, COUNTS),
        verdicts=_verdicts(overall, coverage["band"]),
        per_generator={
            name: _numbers(numbers, PER_GENERATOR, ("fake",))
            | {"verdict_recall": numbers.get("verdicts", {}).get("recall")}
            for name, numbers in generators.items()
        },
        intervals={key: _interval(overall, key) for key in METRICS},
        generator_intervals={name: _interval(numbers, "auroc") for name, numbers in generators.items()},
        band=coverage["band"],
        reliability=reliability,
    )


def _thresholds(model: dict[str, Any]) -> Thresholds:
    """Return where a model's verdict changed; an older report names the band and the decision threshold alone."""
    if "thresholds" in model:
        return Thresholds(**model["thresholds"])
    decision = model["decision_threshold"]
    real_below, fake_from = model.get("uncertain_band", (decision, decision))
    return Thresholds(real_below, fake_from, decision)


def _verdicts(overall: dict[str, Any], band: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of verdicts; of an older report what its band says."""
    if "verdicts" in overall:
        return overall["verdicts"]
    missed, uncertain, alarms = band.get("miss_rate"), band.get("uncertain_fake"), band.get("false_positive_rate")
    return {
        "recall": None if missed is None or uncertain is None else 1 - missed - uncertain,
        "false_positive_rate": alarms,
        "miss_rate": missed,
        "real": {"fake": None if alarms is None else round(alarms * overall["real"])},
        "fake": {"real": None if missed is None else round(missed * overall["fake"])},
        "intervals": {},
    }


def _interval(numbers: dict[str, Any], metric: str) -> Interval:
    """Return a metric's interval; None if it has none, as a metric that is undefined."""
    value, interval = numbers.get(metric), numbers["intervals"].get(metric)
    return None if value is None or math.isnan(value) else interval


def _numbers(numbers: dict[str, Any], metrics: Iterable[str], counts: Iterable[str]) -> Numbers:
    found = {key: numbers.get(key) for key in metrics} | {key: numbers[key] for key in counts}
    # JSON written by Python may hold NaN, which no reader of the card should meet.
    return {key: None if value is None or math.isnan(value) else value for key, value in found.items()}


def _plots(folder: Path, names: list[str], results: dict[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for split, views in results.items():
        for kind in SHOWN_PLOTS:
            named = {view: f"plots/{kind}_{split}_{view}.png" for view in views}
            if shown := {view: name for view, name in named.items() if name in names}:
                found.setdefault(split, {})[kind] = shown
    for name in (n for kinds in found.values() for shown in kinds.values() for n in shown.values()):
        if not (folder / name).is_file():
            raise UserError(f"{folder / REPORT} names the plot {name}, which is not there. Evaluate again.")
    return found
