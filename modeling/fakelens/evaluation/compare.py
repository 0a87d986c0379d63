"""Several models on one data set: the whole evaluation, and their table beside the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState

from fakelens.errors import UserError
from fakelens.evaluation.report.side_by_side import write_side_by_side
from fakelens.evaluation.run import Options, evaluate_models


def compare_models(
    models: Sequence[str],
    data: str,
    output: Path,
    splits: Sequence[str] = ("test",),
    options: Options | None = None,
    cameras: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate two models or more in one run and write their table beside the report.

    Args:
        models: Folders of models or Hub repos; the others are tested against the first.
        data: A SOURCE string, see `fakelens.data.sources.opening`.
        output: The report's folder.
        splits: Names of splits.
        options: What to find out, and how.
        cameras: Collections of photographs straight from cameras, to count false positives on.

    Returns:
        The content of report.json, in every process.

    Raises:
        UserError: As `evaluate_models` does, or if there is one model alone, or no such collection.
    """
    if len(models) < 2:
        raise UserError(f"A comparison needs two models or more, not {len(models)}. Name them with --model A B.")
    report = evaluate_models(models, data, output, splits, options)
    if PartialState().is_main_process:
        write_side_by_side(report, output, cameras)
    return report
