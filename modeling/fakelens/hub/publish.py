"""Checkpoint and report -> the files of a Hub repo -> a folder, or what `fakelens.hub.push` sends.

A dry run writes exactly what the first push sends: both take the files from `collect_files`.
"""

import re
import shutil
from pathlib import Path

from fakelens.atomic import atomic_directory
from fakelens.errors import UserError
from fakelens.hub.card.card import TEMPLATE, render_card
from fakelens.hub.card.examples import NONE, example_files
from fakelens.hub.facts.checkpoint import read_checkpoint
from fakelens.hub.facts.report import read_report
from fakelens.hub.facts.results import eval_result_files
from fakelens.hub.hub_errors import check_repo_id
from fakelens.hub.preflight import ALLOWED, CARD, check_files

# Path in the repo -> its content, or the file that holds it.
Files = dict[str, bytes | Path]


def collect_files(
    model_dir: Path,
    repo_id: str,
    report_dir: Path | None = None,
    template: Path = TEMPLATE,
    examples: str = NONE,
    version: str | None = None,
) -> Files:
    """Gather what a model's repo consists of: settings, weights, processor, code, card, results, plots and examples.

    Args:
        model_dir: A folder that training wrote.
        repo_id: `USER/NAME` that it is published as; the card says how to load it from there.
        report_dir: A folder that `fakelens evaluate` wrote about this model; None if it was not evaluated.
        template: The card's template.
        examples: Where the example images come from, see `fakelens.hub.card.examples`.
        version: What the card calls this version, `1.2.0`; None for no name.

    Raises:
        UserError: If the folder is not fit to be published, the report is about another model or other weights, or a
            file holds what should not be public.
    """
    check_repo_id(repo_id)
    checkpoint = read_checkpoint(model_dir)
    report = read_report(report_dir, checkpoint) if report_dir else None
    files: Files = {name: model_dir / name for name in checkpoint.files}
    if report:
        plots = (name for kinds in report.plots.values() for shown in kinds.values() for name in shown.values())
        files |= {name: report.folder / name for name in plots}
        files |= eval_result_files(report)
    images = example_files(examples)
    files |= images
    files[CARD] = render_card(checkpoint, repo_id, report, template, images, version).encode()
    check_files(files)
    return dict(sorted(files.items()))


def assemble(files: Files, out_dir: Path, inputs: list[Path], allowed: re.Pattern[str] = ALLOWED) -> None:
    """Write a repo to a folder, whole or not at all; one that an earlier run wrote is replaced.

    Args:
        files: What `collect_files` returned.
        out_dir: The folder to write.
        inputs: Folders that the files come from, which the new one must not replace.
        allowed: What an earlier run may have written.

    Raises:
        UserError: If the folder holds anything that an earlier run would not have written, or cannot be written.
    """
    _check_replaceable(out_dir, inputs, allowed)
    try:
        with atomic_directory(out_dir) as new:
            for name, content in files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    (new / name).write_bytes(content)
                else:
                    shutil.copyfile(content, new / name)
    except OSError as error:
        raise UserError(f"{out_dir} cannot be written: {error}. What was there is unchanged.") from None


def _check_replaceable(out_dir: Path, inputs: list[Path], allowed: re.Pattern[str]) -> None:
    if not out_dir.exists():
        return
    here = out_dir.resolve()
    if any(here == p.resolve() or here in p.resolve().parents for p in inputs):
        raise UserError(f"{out_dir} holds the model or its report. Name a new folder.")
    if not out_dir.is_dir():
        raise UserError(f"{out_dir} is a file. Name a new folder.")
    names = [p.relative_to(out_dir).as_posix() for p in sorted(out_dir.rglob("*")) if not p.is_dir()]
    strange = next((name for name in names if not allowed.fullmatch(name)), None)
    if strange or (names and CARD not in names):
        raise UserError(
            f"{out_dir} holds {strange or names[0]} and was not written by an earlier dry run. Name a new folder."
        )
