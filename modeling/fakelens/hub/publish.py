"""Checkpoint and report -> the files of a Hub repo -> a folder, or one commit.

A dry run writes exactly what a push sends: both take the files from `collect_files`. A push is a single commit on top
of the revision that it looked at, so that whoever loads the model finds the old one or the new one, whole.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from fakelens import __version__
from fakelens.errors import UserError
from fakelens.hub.card import TEMPLATE, render_card
from fakelens.hub.checkpoint import CONFIG, PROCESSOR, read_checkpoint
from fakelens.hub.connection import check_repo_id, find_token, hub_errors
from fakelens.hub.report import read_report
from fakelens.hub.results import PREFIX, eval_result_files

CARD = "README.md"
# Path in the repo -> its content, or the file that holds it.
Files = dict[str, bytes | Path]

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_WEIGHTS = r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
_RESULTS = rf"{re.escape(PREFIX)}{_NAME}\.yaml"
_PLOTS = rf"plots/{_NAME}\.png"
# Nothing else is ever sent.
ALLOWED = re.compile(
    rf"{re.escape(CARD)}|{re.escape(CONFIG)}|{re.escape(PROCESSOR)}|{_WEIGHTS}|[A-Za-z_]\w*\.py|{_RESULTS}|{_PLOTS}"
)
# Left over from an earlier push, these would be loaded or read beside the new ones.
REPLACED = re.compile(rf"{_WEIGHTS}|{_RESULTS}|{_PLOTS}")


@dataclass(frozen=True)
class Published:
    """Where a push went.

    Attributes:
        url: The repo's page, or the pull request's.
        commit: SHA of the commit.
        changed: False if the repo held exactly these files already, and no commit was made.
    """

    url: str
    commit: str
    changed: bool


def collect_files(model_dir: Path, repo_id: str, report_dir: Path | None = None, template: Path = TEMPLATE) -> Files:
    """Gather what a model's repo consists of: settings, weights, processor, code, card, evaluation results and plots.

    Args:
        model_dir: A folder that training wrote.
        repo_id: `USER/NAME` that it is published as; the card says how to load it from there.
        report_dir: A folder that `scripts/evaluate.py` wrote about this model; None if it was not evaluated.
        template: The card's template.

    Raises:
        UserError: If the folder is not fit to be published, or the report is about another model.
    """
    check_repo_id(repo_id)
    checkpoint = read_checkpoint(model_dir)
    report = read_report(report_dir, checkpoint) if report_dir else None
    files: Files = {name: model_dir / name for name in checkpoint.files}
    if report:
        plots = (name for kinds in report.plots.values() for shown in kinds.values() for name in shown.values())
        files |= {name: report.folder / name for name in plots}
        files |= eval_result_files(report)
    files[CARD] = render_card(checkpoint, repo_id, report, template).encode()
    for name in files:
        if not ALLOWED.fullmatch(name):
            raise UserError(
                f"{name} is not among the files that are published: it is no weights, settings, code or plot."
            )
    return dict(sorted(files.items()))


def assemble(
    model_dir: Path, out_dir: Path, repo_id: str, report_dir: Path | None = None, template: Path = TEMPLATE
) -> Files:
    """Write a model's repo to a folder, whole or not at all; one that an earlier run wrote is replaced.

    Args:
        model_dir: A folder that training wrote.
        out_dir: The folder to write.
        repo_id: `USER/NAME` that the card says how to load.
        report_dir: A folder that `scripts/evaluate.py` wrote about this model; None if it was not evaluated.
        template: The card's template.

    Returns:
        The files, by their path in the folder.

    Raises:
        UserError: As `collect_files`, and if the folder holds anything that an earlier run would not have written.
    """
    files = collect_files(model_dir, repo_id, report_dir, template)
    _check_replaceable(out_dir, [model_dir] + ([report_dir] if report_dir else []))
    place = out_dir.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that moving it there is one step.
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as work:
            new = Path(work) / "new"
            for name, content in files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    (new / name).write_bytes(content)
                else:
                    shutil.copyfile(content, new / name)
            old = Path(work) / "old"
            if place.exists():
                place.rename(old)
            try:
                new.rename(place)
            except OSError:
                if old.exists():
                    old.rename(place)
                raise
    except OSError as error:
        raise UserError(f"{out_dir} cannot be written: {error}. What was there is unchanged.") from None
    return files


def publish(files: Files, repo_id: str, private: bool = False, create_pr: bool = False) -> Published:
    """Push a model's repo in one commit, creating the repo if it is not there.

    Weights, plots and results of an earlier push that are not among the files are removed by the same commit. Files
    that fakelens does not write are left as they are.

    Args:
        files: What `collect_files` returned.
        repo_id: `USER/NAME`.
        private: Create the repo as a private one.
        create_pr: Open a pull request instead of changing the main branch.

    Raises:
        UserError: If there is no token, the Hub refuses or cannot be reached, or the repo is public and should not be.
    """
    check_repo_id(repo_id)
    api = HfApi(token=find_token(), library_name="fakelens", library_version=__version__)
    with hub_errors(repo_id):
        url = str(api.create_repo(repo_id, private=private or None, exist_ok=True))
        before = api.model_info(repo_id)
        if private and not before.private:
            raise UserError(
                f"{repo_id} exists and is public. Make it private in its settings, {url}/settings, or take a new name."
            )
        stale = [
            s.rfilename for s in before.siblings or [] if REPLACED.fullmatch(s.rfilename) and s.rfilename not in files
        ]
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, content) for name, content in files.items()),
                *(CommitOperationDelete(name) for name in stale),
            ],
            commit_message=f"Publish with fakelens {__version__}",
            create_pr=create_pr,
            # Nothing is written on top of a revision that was not looked at.
            parent_commit=before.sha,
        )
    return Published(commit.pr_url or url, commit.oid, commit.oid != before.sha)


def _check_replaceable(out_dir: Path, inputs: list[Path]) -> None:
    if not out_dir.exists():
        return
    here = out_dir.resolve()
    if any(here == p.resolve() or here in p.resolve().parents for p in inputs):
        raise UserError(f"{out_dir} holds the model or its report. Name a new folder.")
    if not out_dir.is_dir():
        raise UserError(f"{out_dir} is a file. Name a new folder.")
    names = [p.relative_to(out_dir).as_posix() for p in sorted(out_dir.rglob("*")) if not p.is_dir()]
    strange = next((name for name in names if not ALLOWED.fullmatch(name)), None)
    if strange or (names and CARD not in names):
        raise UserError(
            f"{out_dir} holds {strange or names[0]} and was not written by an earlier dry run. Name a new folder."
        )
