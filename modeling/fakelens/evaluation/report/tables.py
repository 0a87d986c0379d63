"""The tables of one split on the report's page."""

from collections.abc import Iterable, Sequence
from typing import Any

from fakelens.data.splits.protocols import among
from fakelens.evaluation.analysis.comparison import COLUMNS as COMPARED
from fakelens.evaluation.analysis.comparison import comparison_rows
from fakelens.evaluation.analysis.coverage import ALARMS, alarms_rows, coverage_table
from fakelens.evaluation.analysis.summary import shortcut_gap
from fakelens.evaluation.analysis.verdicts import TWO_VERDICTS, VERDICTS, at
from fakelens.evaluation.robustness.tables import scenario_rows, stability_rows, step_rows
from fakelens.metrics.bootstrap import behind

OVERALL = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "accuracy": "accuracy",
    "precision": "precision",
    "f1": "F1",
    "recall": "recall",
    "specificity": "specificity",
    "tpr_at_5_fpr": "TPR at 5 % FPR",
    "tpr_at_1_fpr": "TPR at 1 % FPR",
    "ece": "ECE",
    "brier": "Brier",
}
WHEN = ("before", "after")
WITH_INTERVALS = ("auroc", "average_precision", "accuracy", "recall", "specificity", "ece")


def titles(models: Sequence[dict[str, Any]], keys: Iterable[str] = OVERALL) -> dict[str, str]:
    """Return the names of metrics; of those that count two verdicts with the threshold they are counted at.

    Args:
        models: The report's.
        keys: Of `OVERALL`.
    """
    where = {model["decision_threshold"] for model in models}
    named = at(where.pop()) if len(where) == 1 else "at the decision threshold"
    return {key: f"{OVERALL[key]} {named}" if key in TWO_VERDICTS else OVERALL[key] for key in keys}


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; floats have three digits after the point, None is a dash.

    Args:
        header: The columns' names.
        rows: As many cells each.
    """
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def reasons(skipped: dict[str, int]) -> str:
    """Return counts by reason in words."""
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "none"


def audit_table(audits: dict[str, dict[str, Any]]) -> str:
    """Return what file facts alone score, a row a split and view; "" if no split was audited."""
    columns = ("split", "view", "all facts", "format and size alone", "chance within", "leak most (AUROC by itself)")
    rows = []
    for split, audit in audits.items():
        for view, found in audit.get("views", {}).items():
            leaks = ", ".join(f"{leak['fact']} ({leak['auroc']:.3f})" for leak in found["leaks"])
            rows.append((split, view, found["auroc"], found["auroc_format"], audit["chance"], leaks))
    return table(columns, rows) if rows else ""


def audit_advice(split: str, audit: dict[str, Any]) -> str:
    """Return what to do about a split's audit, or why there is none."""
    said = f": {audit['advice']}" if "advice" in audit else f" was not audited: {audit['not_audited']}"
    return f"`{split}`{said}"


def split_tables(split: str, report: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says of one split.

    Args:
        split: Its name.
        report: The content of report.json.

    Returns:
        `name`; `lead`, tables without a heading; `gaps` and `notes`, sentences; `sections`, pairs of heading and
        table, those without rows left out.
    """
    models, controls = report["models"], report["controls"].get(split, {})
    unseeing = [(f"*{name}* (control)", view, r) for name, views in controls.items() for view, r in views.items()]
    results = [(m["name"], view, r) for m in models for view, r in m["results"][split].items()]
    found = ((m["name"], shortcut_gap(m["results"][split])) for m in models)
    attributed = attributions(split, models)
    robustness = {m["name"]: m["robustness"][split] for m in models if "robustness" in m}
    scenarios = {m["name"]: m["scenarios"][split] for m in models if "scenarios" in m}
    covered = [(m["name"], view, one) for m in models for view, one in m["coverage"][split].items()]
    alarms = alarms_rows(covered)
    compared = comparison_rows(report["comparison"], split)
    sections = [
        ("How sure: 95 % intervals", _intervals_table(results, models)),
        ("One model against another", table(COMPARED, compared) if compared else ""),
        ("When it says uncertain", table(*coverage_table(covered))),
        ("False positives outside the band, by source", table(ALARMS, alarms) if alarms else ""),
        ("Calibration, before and after the temperature", _calibration_table(split, models)),
        ("Robustness", table(*stability_rows(robustness)) if robustness else ""),
        ("Robustness, step by step", table(*step_rows(robustness)) if robustness else ""),
        ("Under attack", _attack_table(split, models)),
        ("A fraction of the images under attack", table(*scenario_rows(scenarios)) if scenarios else ""),
        ("Who made it", _attribution_table(attributed)),
        *(_confusion(f"{name}, {split}, {view}", one) for name, view, one in attributed),
        *(detail for m in models for detail in _details(m, split)),
    ]
    overall = table(
        ("model", "view", *titles(models).values()),
        ((name, view, *(r["overall"][key] for key in OVERALL)) for name, view, r in results + unseeing),
    )
    return {
        "name": split,
        "lead": [text for text in (_verdicts_table(results + unseeing), overall, _groups_table(results)) if text],
        "gaps": [
            f"**Shortcut gap of {n}: {gap:+.3f}** (AUROC raw - normalised)" for n, gap in found if gap is not None
        ],
        "notes": _notes(split, models),
        "sections": [(heading, text) for heading, text in sections if text],
    }


def _verdicts_table(results: list[tuple[str, str, dict[str, Any]]]) -> str:
    """Return what the verdicts are worth, and how many images of each class got which."""
    header = (
        "model",
        "view",
        *VERDICTS.values(),
        "real images: real, uncertain, fake",
        "fakes: real, uncertain, fake",
    )
    rows = []
    for name, view, r in results:
        found = r["overall"]["verdicts"]
        rates = (_with_interval(found[key], found["intervals"][key]) for key in VERDICTS)
        counts = (", ".join(map(str, found[label].values())) for label in ("real", "fake"))
        rows.append((name, view, *rates, *counts))
    return table(header, rows)


def _groups_table(results: list[tuple[str, str, dict[str, Any]]]) -> str:
    """Return the AUROC over generators and over sources, where there are any; "" where there are none."""
    kinds = [k for k in ("generator", "source") if any(r[f"per_{k}"] for *_, r in results)]
    if not kinds:
        return ""
    header = ["model", "view"]
    for kind in kinds:
        header += [f"mean over {kind}s", f"worst {kind}"]
    rows = []
    for name, view, r in results:
        row: list[str | None] = [name, view]
        for kind in kinds:
            worst = r[f"worst_{kind}"]
            row.append(_with_interval(r[f"macro_auroc_over_{kind}s"], r[f"macro_auroc_over_{kind}s_interval"]))
            row.append(worst and f"{worst['name']}: {_with_interval(worst['auroc'], worst['interval'])}")
        rows.append(row)
    return table(header, rows)


def _intervals_table(results: list[tuple[str, str, dict[str, Any]]], models: list[dict[str, Any]]) -> str:
    rows = (
        (name, view, *(_with_interval(r["overall"][k], r["overall"]["intervals"][k]) for k in WITH_INTERVALS))
        for name, view, r in results
    )
    return table(("model", "view", *titles(models, WITH_INTERVALS).values()), rows)


def _calibration_table(split: str, models: list[dict[str, Any]]) -> str:
    rows = [
        (m["name"], view, f"{m['temperature']:.3g}", *(one[w][key] for key in ("ece", "nll", "brier") for w in WHEN))
        for m in models
        if m["temperature"] != 1
        for view, one in m["reliability"][split].items()
    ]
    header = ("model", "view", "temperature", *(f"{k}, {when}" for k in ("ECE", "NLL", "Brier") for when in WHEN))
    return table(header, rows) if rows else ""


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str | None:
    """Return a number with its interval behind it; None if there is no number."""
    return None if value is None else f"{value:.3f}{behind(interval)}"


def _attack_table(split: str, models: list[dict[str, Any]]) -> str:
    attacked = [(m["name"], m["attacks"][split]) for m in models if "attacks" in m]
    columns = titles(models, ("auroc", "accuracy", "f1", "recall", "specificity"))
    columns |= {"flipped": "verdicts changed"}
    rows = [
        (name, method.upper(), f"{row['eps']:g}", *(row[key] for key in columns), row["real"], row["fake"])
        for name, methods in attacked
        for method, table_rows in methods.items()
        for row in table_rows
    ]
    return table(("model", "attack", "eps", *columns.values(), "real images", "fake images"), rows) if rows else ""


def _notes(split: str, models: list[dict[str, Any]]) -> list[str]:
    """Return what was not done, and why."""
    nameless = [m["name"] for m in models if not all(m.get("attribution", {}).get(split, {"": True}).values())]
    return [
        *(f"**{m['name']} was not attacked.** {m['attacks_skipped']}" for m in models if "attacks_skipped" in m),
        *(f"{name} tells generators apart, but these data do not name them." for name in nameless),
    ]


def attributions(split: str, models: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return model, view and attribution, where there is one."""
    views = ((m["name"], view, one) for m in models for view, one in m.get("attribution", {}).get(split, {}).items())
    return [(name, view, one) for name, view, one in views if one]


def _attribution_table(found: list[tuple[str, str, dict[str, Any]]]) -> str:
    columns = {
        "accuracy": "right",
        "macro_recall": "right, macro",
        "closed_set_accuracy": "closed set",
        "open_set_auroc": "open-set AUROC",
        "unstated": "fakes without a name",
    }
    rows = [(name, view, *(one[key] for key in columns)) for name, view, one in found]
    return table(("model", "view", *columns.values()), rows) if rows else ""


def _confusion(where: str, one: dict[str, Any]) -> tuple[str, str]:
    rows = ((row, *counts) for row, counts in zip(one["rows"], one["confusion"], strict=True))
    return f"{where}: who made it, and the answers", table(("truth", *one["labels"]), rows)


def _details(model: dict[str, Any], split: str) -> list[tuple[str, str]]:
    """Return heading and table of one model's results by generator and by source."""
    details, views, unseen = [], model["results"][split], model["unseen_generators"] or ()
    named = titles([model])
    for kind, counts, numbers in (
        (
            "generator",
            {"fake": "fake images"},
            {"auroc": "AUROC", "verdicts recall": "recall", "recall": named["recall"]},
        ),
        (
            "source",
            {"real": "real images", "fake": "fake images"},
            {
                "auroc": "AUROC",
                "verdicts false_positive_rate": "false-positive rate",
                "verdicts recall": "recall",
                "specificity": named["specificity"],
                "recall": named["recall"],
            },
        ),
    ):
        groups = {view: result[f"per_{kind}"] for view, result in views.items()}
        first = next(iter(groups.values()))
        if first:
            header = (kind, *counts.values(), *(f"{title}, {view}" for view in groups for title in numbers.values()))
            rows = (
                (
                    f"{name} (held out of training)" if kind == "generator" and among(name, unseen) else name,
                    *(first[name][k] for k in counts),
                    *(_number_of(g[name], k) for g in groups.values() for k in numbers),
                )
                for name in first
            )
            details.append((f"{model['name']}, {split}: by {kind}", table(header, rows)))
    return details


def _number_of(group: dict[str, Any], key: str) -> float | str | None:
    """Return a group's number, behind `verdicts` that of its verdicts; an AUROC with its interval."""
    if key.startswith("verdicts "):
        return group["verdicts"][key.removeprefix("verdicts ")]
    return _with_interval(group[key], group["intervals"].get(key)) if key == "auroc" else group[key]
