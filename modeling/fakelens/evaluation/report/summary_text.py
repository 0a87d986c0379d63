"""The first paragraphs of a report: how good, how sure, where it breaks, for whoever reads no further."""

from typing import Any

from fakelens.evaluation.analysis.verdicts import at, verdict_counts
from fakelens.inference.thresholds import Thresholds
from fakelens.metrics.bootstrap import behind


def summary_text(report: dict[str, Any]) -> list[str]:
    """Return a paragraph for every model and split.

    Args:
        report: The content of report.json.
    """
    return [_paragraph(model, split, report) for model in report["models"] for split in report["data"]["splits"]]


def _paragraph(model: dict[str, Any], split: str, report: dict[str, Any]) -> str:
    views = model["results"][split]
    first, result = next(iter(views.items()))
    overall = result["overall"]
    scores = ", ".join(f"{_ranked(r['overall'])} {view}" for view, r in views.items())
    said = [
        f"**{model['name']} on `{split}`**: AUROC {scores}.",
        *_verdicts(model, first, overall),
        _where_weakest(result),
        _beside_file_facts(overall["auroc"], first, report["data"]["audit"].get(split, {})),
        _under_pressure(model, split),
    ]
    return " ".join(sentence for sentence in said if sentence)


def _verdicts(model: dict[str, Any], view: str, overall: dict[str, Any]) -> list[str]:
    """Say what the verdicts are worth, and beside them what two verdicts would be, named so."""
    thresholds, verdicts = Thresholds(**model["thresholds"]), overall["verdicts"]
    said = [f"Its verdict, {view} view, is {thresholds.in_words()}."]
    if overall["fake"]:
        said.append(
            f"Recall is {verdicts['recall']:.3f}{behind(verdicts['intervals']['recall'])}: of {overall['fake']} fakes "
            f"it predicts {verdict_counts(verdicts, 'fake')}."
        )
    if overall["real"]:
        rate, interval = verdicts["false_positive_rate"], verdicts["intervals"]["false_positive_rate"]
        said.append(
            f"The false-positive rate is {rate:.3f}{behind(interval)}: of {overall['real']} real images it predicts "
            f"{verdict_counts(verdicts, 'real')}."
        )
    if thresholds.has_band:
        said.append(
            f"With two verdicts, {at(thresholds.decision)}: {overall['false_positives']} false positives and "
            f"{overall['false_negatives']} false negatives."
        )
    return said


def _ranked(overall: dict[str, Any]) -> str:
    if overall["auroc"] is None:
        return "undefined"
    return f"{overall['auroc']:.3f}{behind(overall['intervals']['auroc'])}"


def _where_weakest(result: dict[str, Any]) -> str:
    found = [(kind, result[f"worst_{kind}"]) for kind in ("generator", "source") if len(result[f"per_{kind}"]) > 1]
    worst = [f"the {kind} {one['name']} ({one['auroc']:.3f})" for kind, one in found if one]
    return f"Weakest: {' and '.join(worst)}." if worst else ""


def _beside_file_facts(auroc: float | None, view: str, audit: dict[str, Any]) -> str:
    """Hold the score against what the files give away by themselves."""
    leaked = audit.get("views", {}).get(view, {}).get("auroc")
    if auroc is None or leaked is None:
        return ""
    if auroc <= leaked:
        return f"File facts alone, the image unseen, reach {leaked:.3f}: this score does not show that it looked."
    return f"File facts alone, the image unseen, reach {leaked:.3f}."


def _under_pressure(model: dict[str, Any], split: str) -> str:
    """Name the degradation and the attack that hurt most."""
    said = []
    if robust := model.get("robustness", {}).get(split):
        steps = [step for step in robust["steps"] if step["auroc_drop"] is not None]
        said.append(f"{robust['unstable_images']:.0%} of verdicts change under some degradation.")
        if steps:
            hardest = max(steps, key=lambda step: step["auroc_drop"])
            said.append(f"What costs most is {hardest['protocol']} ({hardest['auroc_drop']:.3f} of AUROC).")
    rows = [row for table in model.get("attacks", {}).get(split, {}).values() for row in table if row["eps"] > 0]
    if rows:
        hardest = min(rows, key=lambda row: row["accuracy"])
        said.append(f"Under attack accuracy falls to {hardest['accuracy']:.3f} (eps {hardest['eps']:g}).")
    return " ".join(said)
