r"""Audit a data set: the AUROC that a detector could get on it without looking at the image.

    fakelens audit --data path/to/folder --split train test
    fakelens audit --data ComplexDataLab/OpenFake:core --split test --limit 20000 --output runs/audit
    fakelens audit --data sample --json

A small classifier is fitted to file facts alone (format, size, compression, EXIF, mean colour) and scored out of fold,
for the files as they are (raw) and with all at one size, format and quality (normalised). With --output, audit.json.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakelens.cli.script import SOURCE, ReadArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class AuditArguments(ReadArguments):
    """What to audit."""

    data: str = field(metadata={"help": SOURCE})
    split: list[str] = field(default_factory=lambda: ["train"], metadata={"help": "Splits, each audited alone."})
    limit: int | None = field(
        default=None,
        metadata={"help": "Read only this many rows from the start of each split; they may be one class."},
    )
    output: str | None = field(default=None, metadata={"help": "Folder to write audit.json to."})
    json: bool = field(default=False, metadata={"help": "Print that JSON instead of tables."})


def main(args: AuditArguments) -> None:
    """Audit every split, and print a table or JSON."""
    from fakelens.data.audit.audit import SCHEMA_VERSION, audit_source
    from fakelens.data.sources.opening import open_source
    from fakelens.errors import UserError

    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit is {args.limit}; it is a number of rows, 1 or more.")
    sources = [open_source(args.data, split, args.read_options()) for split in args.split]
    audit: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "data": {"source": args.data, "revision": sources[0].revision, "description": sources[0].description},
        "splits": {source.split: audit_source(source, args.limit) for source in sources},
    }
    text = json.dumps(audit, indent=2, allow_nan=False)
    if args.output:
        path = Path(args.output) / "audit.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path} could not be written: {error.strerror}. Name another --output.") from error
    if args.json:
        print(text)
        return
    console = Console()
    for split, result in audit["splits"].items():
        show(console, split, result)
    if args.output:
        print(f"The audit is in {path}.")


def show(console: Console, split: str, result: dict[str, Any]) -> None:
    """Print one split's audit."""
    views = result["views"]
    table = Table(title=f"{split}: AUROC from file facts, the image unseen")
    table.add_column("of", overflow="fold")
    for title in (*views, "real", "fake"):
        table.add_column(title, justify="right", no_wrap=True)
    counts = {"real": result["real"], "fake": result["fake"]}
    for title, key in (("all facts", "auroc"), ("format and size", "auroc_format")):
        table.add_row(title, *(number(view[key]) for view in views.values()), *map(str, counts.values()))
    one_class = [name for name, group in views["raw"]["sources"].items() if group["auroc"] is None]
    for kind in ("sources", "generators"):
        for name in views["raw"][kind]:
            if kind == "generators" or name not in ("", *one_class):
                groups = [view[kind][name] for view in views.values()]
                sizes = (str(groups[0][label]) for label in counts)
                table.add_row(f"{kind[:-1]} {name}", *(number(group["auroc"]) for group in groups), *sizes)
    console.print(table)
    for name, view in views.items():
        leaks = (f"{one['fact']} {number(one['auroc'])} (higher in {one['higher_in']}s)" for one in view["leaks"])
        console.print(f"leak most, {name}: {', '.join(leaks)}")
    console.print(f"by chance alone: 0.500, within {number(result['chance'])}")
    if one_class:
        console.print(f"collections of one class, which can be learnt in its place: {', '.join(one_class)}")
    if result["skipped"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in result["skipped"].items())
        console.print(f"{sum(result['skipped'].values())} of {result['rows']} rows skipped ({reasons})")
    console.print(result["advice"])


def number(value: float | None) -> str:
    """Return an AUROC as text."""
    return "" if value is None else f"{value:.3f}"


VERB = dataclass_verb("audit", main, AuditArguments, __doc__)
