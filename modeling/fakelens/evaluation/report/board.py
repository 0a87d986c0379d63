"""report.json as a page that others add to: a row a detector, and the command that wrote it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fakelens.atomic import write_file
from fakelens.errors import UserError
from fakelens.evaluation.report.side_by_side import notes, side_by_side
from fakelens.evaluation.report.tables import table

MARK = "<!-- What stands below is kept when the page is written anew. -->"


def write_board(report: dict[str, Any], path: Path, command: str, cameras: Sequence[str] = ()) -> None:
    """Write the page, and keep what people wrote below its mark.

    Args:
        report: The content of report.json.
        path: The page. Below its mark what stands there stays; there is nothing to lose in a file that is not there.
        command: What was typed.
        cameras: As of `side_by_side`.

    Raises:
        UserError: If the file holds something else than such a page, or cannot be read or written.
    """
    kept = check_board(path)
    data = report["data"]
    lines = [
        "# Detectors on one board",
        "",
        "All of these scored the same images in the same run. The page was written, numbers and all, by",
        "",
        f"```bash\n{command}\n```",
        "",
        f"with fakelens {report['fakelens_version']} on {report['environment']['device']}, {report['created'][:10]}. "
        f"Data: `{data['source']}`, {data['description']}.",
    ]
    for split, facts in data["splits"].items():
        header, rows = side_by_side(report, split, cameras)
        turned = [list(column) for column in zip(header, *rows, strict=True)]
        yours = ["**yours**", "one more name behind `--model`", *[""] * (len(rows) - 1)]
        lines += ["", f"## {split}, {facts['scored']} images", ""]
        lines += [table(["detector", *turned[0][1:]], [*turned[1:], yours])]
    lines += ["", *notes(report), "", MARK]
    write_file(path, "\n".join(lines) + (kept or "\n"))


def check_board(path: Path) -> str:
    """Return what stands below the mark of a page; worth knowing before the work begins.

    Args:
        path: The page; "" is returned for a file that is not there.

    Raises:
        UserError: If the file has no mark, so that something would be lost.
    """
    if not path.exists():
        return ""
    try:
        above, mark, kept = path.read_text(encoding="utf-8").partition(MARK)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a board: {error}. Name a new file with --board.") from None
    if not mark:
        raise UserError(f"{path} holds something else than a board. Name a new file with --board.")
    return kept
