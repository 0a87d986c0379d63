"""Rows -> standard output: JSON lines, a CSV table, or a table for a person."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fakelens.inference.verdict import DRAWINGS, FIELDS, Row, short_form

COLOURS = {"real": "green", "fake": "red", "uncertain": "yellow", None: "dim"}


def write_json(rows: Iterable[Row]) -> int:
    """Print one JSON object a line, as rows come; return how many inputs failed."""
    failed = 0
    for row in rows:
        failed += row["error"] is not None
        print(json.dumps(row, ensure_ascii=False), flush=True)
    return failed


def write_csv(rows: Iterable[Row]) -> int:
    """Print a CSV table, as rows come; return how many inputs failed."""
    writer = csv.DictWriter(sys.stdout, [*FIELDS, *DRAWINGS], lineterminator="\n")
    writer.writeheader()
    failed = 0
    for row in rows:
        failed += row["error"] is not None
        text = {"warnings": " ".join(row["warnings"]), "notes": "; ".join(row["notes"])}
        writer.writerow(row | text | {"provenance": json.dumps(row["provenance"], ensure_ascii=False)})
    return failed


def write_table(rows: Iterable[Row], scored_by: str = "") -> int:
    """Print a table for a person, and a line that sums it up; return how many inputs failed.

    Args:
        rows: One an input.
        scored_by: Which detector it was, and what its verdicts mean.
    """
    found: list[Row] = []
    try:
        found.extend(rows)
    finally:  # after Ctrl-C, what there is
        console = Console()
        # Names are whole: what does not fit is folded, and short names leave their room to the words.
        names = max([len("image"), *(len(row["path"]) for row in found)])
        table = Table()
        table.add_column("image", overflow="fold", width=min(names, console.width * 2 // 5))
        for heading in ("verdict", "P(fake)"):
            table.add_column(heading, no_wrap=True)
        table.add_column("in words", overflow="fold")
        for row in found:
            score = "" if row["score"] is None else f"{row['score']:.3f}"
            # What comes from a file or its name is not markup.
            cells = (row["path"], row["verdict"] or "not scored", score, _in_words(row, len(found)))
            table.add_row(*map(escape, cells), style=COLOURS[row["verdict"]])
        console.print(table)
        console.print(summary(found, scored_by), markup=False, highlight=False)
    return sum(row["error"] is not None for row in found)


def _in_words(row: Row, count: int) -> str:
    """Return what a row says beside its verdict: of one image alone in whole sentences."""
    if row["error"]:
        return str(row["error"])
    sentence = row["sentence"] if count == 1 else short_form(row["sentence"])
    return "\n".join([sentence, *filter(None, [row["disagreement"]]), *row["warnings"], *row["notes"]])


def summary(rows: Sequence[Row], scored_by: str = "") -> str:
    """Return a line on all rows: how many images got which verdict.

    Args:
        rows: One an input.
        scored_by: As in `write_table`.
    """
    counts = Counter(row["verdict"] or "not scored" for row in rows)
    said = ", ".join(f"{counts[word]} {word}" for word in ("real", "uncertain", "fake", "not scored") if counts[word])
    images = "1 image" if len(rows) == 1 else f"{len(rows):,} images"
    return f"{images}: {said or 'none scored'}." + (f" Scored by {scored_by}." if scored_by else "")
