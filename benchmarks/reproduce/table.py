"""A system's table: their number, ours, on what, at what length, in what time; and the page of all systems."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from work import Work

from fakelens.atomic import write_file, write_json
from fakelens.errors import UserError
from fakelens.training.loop.record import environment

BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
KEPT = Path(__file__).parent / "results"  # of systems that were run at full length, for the page
TITLES = {
    "s0": "S0: three CNNs on OpenFake",
    "s1": "S1: faces, two backbones",
    "s2": "S2: CIFAKE with adversarial training",
    "s3": "S3: two-phase EfficientNet",
    "s4": "S4: adversarially trained ensemble",
}


@dataclass(frozen=True)
class Row:
    """One number of theirs beside ours.

    Attributes:
        what: The network, and what is done to its images.
        metric: Such as "accuracy".
        theirs: What the system states; a range as text, "" where it states none.
        ours: The same by split; None where it is undefined.
    """

    what: str
    metric: str
    theirs: float | str
    ours: dict[str, float | None]


def entry(report: Mapping[str, Any], model: Path) -> Mapping[str, Any]:
    """Return what a report says of one model."""
    return next(one for one in report["models"] if one["path"] == str(model))


def overall(what: str, report: Mapping[str, Any], model: Path, theirs: Mapping[str, float | str]) -> list[Row]:
    """Return a row for each metric on the images as they are.

    Args:
        what: The rows' name.
        report: The report.
        model: The model in it.
        theirs: Their number by metric.
    """
    results = entry(report, model)["results"]
    return [
        Row(what, metric, number, {split: views["raw"]["overall"][metric] for split, views in results.items()})
        for metric, number in theirs.items()
    ]


def write_result(
    work: Work, rows: Sequence[Row], differences: Sequence[str], further: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write result.json and result.md, and return the former's content.

    Args:
        work: The system's, all parts done.
        rows: The numbers.
        differences: In what the run differs from theirs, a sentence each.
        further: What else belongs to the result.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = {
        "system": work.system,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_full_length": work.steps is None,
        "data": json.loads((work.folder / "set.json").read_text(encoding="utf-8")),
        "rows": [asdict(row) for row in rows],
        "lengths": {name: length(model.parent) for name, model in work.models.items()},
        "times": work.times(),
        "differences": list(differences),
        "reports": {
            name: hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()
            for name, folder in work.reports.items()
        },
        "environment": {k: v for k, v in environment(device).items() if k not in ("cuda", "platform")},
        **(further or {}),
    }
    write_json(work.folder / "result.json", result)
    write_file(work.folder / "result.md", f"# {TITLES[work.system]}\n\n{markdown(result)}")
    return result


def length(run: Path) -> list[dict[str, Any]]:
    """Return the epochs that each phase of a run took, and its best one; [] of a run without phases.

    Args:
        run: The run's folder.
    """
    if not (run / "metrics.csv").exists():
        return []
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    found = []
    for phase in record["phases"]:
        epochs = {int(row["step"]): float(row["epoch"]) for row in rows if row["phase"] == phase["name"]}
        best = epochs.get(phase["best_step"])
        found.append({"phase": phase["name"], "epochs": max(epochs.values(), default=None), "best_epoch": best})
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """Return a result as Markdown, without a heading.

    Args:
        result: The content of result.json.
    """
    splits = list(dict.fromkeys(split for row in result["rows"] for split in row["ours"]))
    lines = [f"| what | metric | theirs | {' | '.join(f'ours, {split}' for split in splits)} |"]
    lines.append(f"|---|---|---|{'---|' * len(splits)}")
    for row in result["rows"]:
        ours = " | ".join(_number(row["ours"].get(split, "")) for split in splits)
        lines.append(f"| {row['what']} | {row['metric']} | {_number(row['theirs'])} | {ours} |")
    lines += _ablation(result["ablation"]) if "ablation" in result else []
    data = result["data"]
    lines += ["", f"* Data: {', '.join(data['sources'])}{_drawn(data.get('drawn', {}))}."]
    for split, counts in data["splits"].items():
        lines.append(f"  {split}: {counts['real']:,} real, {counts['fake']:,} fake (`{counts['contents']}`).")
    for name, phases in result["lengths"].items():
        said = ", ".join(f"{p['phase']} {_number(p['epochs'])} (best: {_number(p['best_epoch'])})" for p in phases)
        lines += [f"* Epochs of `{name}`: {said}."] if said else []
    minutes, cores = (sum(one[k] for one in result["times"].values()) for k in ("minutes", "core_minutes"))
    machine = result["environment"]
    # A copy that was kept before names no device: it was a CPU.
    on = f"{machine['cpus']} CPUs" + (f" and one {machine['device']}" if machine.get("device", "cpu") != "cpu" else "")
    lines.append(f"* Time: {minutes:,.0f} minutes, {cores:,.0f} of a core, on {on}.")
    lines += [f"* {line}" for line in result.get("projected", [])]
    lines += [f"* Differs: {line}" for line in result["differences"]]
    lines += [f"* SHA-256 of `{name}/report.json`: `{sha}`." for name, sha in result["reports"].items()]
    if not result["is_full_length"]:
        lines.append("* **Cut short to see that all goes together: these numbers mean nothing.**")
    return "\n".join(lines) + "\n"


def collect(folder: Path, page: Path, kept: Path = KEPT) -> list[str]:
    """Keep the results of finished systems beside this file, and write them into the page.

    Args:
        folder: Where the systems' folders are.
        page: A Markdown page with the two marks.
        kept: Where results are kept.

    Returns:
        The systems taken.

    Raises:
        UserError: If a result is of a run that was cut short, or the page has no marks.
    """
    taken = []
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if not result["is_full_length"]:
            raise UserError(f"{path} is of a run that was cut short. Remove it, or run the system without --steps.")
        write_json(kept / f"{result['system']}.json", result)
        taken.append(result["system"])
    write_file(page, with_results(page.read_text(encoding="utf-8"), kept))
    return taken


def with_results(page: str, kept: Path = KEPT) -> str:
    """Return a page with the kept results between its marks; systems without one are "not run yet".

    Args:
        page: Its text.
        kept: Where results are kept.

    Raises:
        UserError: If it has no marks.
    """
    if BEGIN not in page or END not in page:
        raise UserError(f"The page has no place for results: it needs the lines {BEGIN.strip()} and {END}.")
    parts = []
    for system, title in TITLES.items():
        path = kept / f"{system}.json"
        found = markdown(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else "Not run yet.\n"
        parts.append(f"### {title}\n\n{found}\n")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{''.join(parts)}{END}{rest.partition(END)[2]}"


def _drawn(drawn: Mapping[str, Any]) -> str:
    """Say what was drawn of the sources, "" where that is everything."""
    said = [f"at most {drawn['per_class']} images of a class"] if drawn.get("per_class") else []
    said += [f"fakes of {', '.join(drawn['fakes'])}"] if drawn.get("fakes") else []
    said += [f"real images of {', '.join(drawn['real_images'])}"] if drawn.get("real_images") else []
    return "".join(f"; {one}" for one in said)


def _ablation(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of S4's ablation: an accuracy for each seed."""
    lines = ["", f"{found[0]['network']} by the fraction of attacked batches, accuracy on validation:", ""]
    lines += ["| fraction | seeds | clean | FGSM at .05 |", "|---|---|---|---|"]
    for one in found:
        clean, attacked = (", ".join(map(_number, one[key])) for key in ("clean", "attacked"))
        lines.append(f"| {one['fraction']:g} | {', '.join(map(str, one['seeds']))} | {clean} | {attacked} |")
    return lines


def _number(value: float | str | None) -> str:
    """Return a rate as .9540, any other number as short as it goes, a text as it is."""
    if value is None:
        return "undefined"
    if isinstance(value, str):
        return value
    return f"{value:.4f}".removeprefix("0") if 0 < value < 1 else f"{value:g}"
