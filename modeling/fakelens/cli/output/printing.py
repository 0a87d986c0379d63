"""Rows -> standard output: JSON lines, a CSV table, or a table for a person."""

import csv
import json
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fakelens.inference.verdict import DRAWINGS, FIELDS, Row

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


def write_table(rows: Iterable[Row]) -> int:
    """Print a table for a person; return how many inputs failed."""
    table = Table("image", "verdict", "P(fake)", "remarks")
    failed = 0
    try:
        for row in rows:
            failed += row["error"] is not None
            score = "" if row["score"] is None else f"{row['score']:.3f}"
            verdict = row["verdict"] or "not scored"
            remarks = row["error"] or "\n".join(
                [*filter(None, [row["disagreement"]]), *row["warnings"], *row["notes"]]
            )
            # What comes from a file or its name is not markup.
            table.add_row(escape(row["path"]), verdict, score, escape(remarks), style=COLOURS[row["verdict"]])
    finally:  # after Ctrl-C, what there is
        Console().print(table)
    return failed
