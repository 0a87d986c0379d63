"""The files of a model's repo -> one commit on the Hub, on top of what people wrote there, and a tag.

Whoever loads the model finds the old revision or the new one, whole: all files change in a single commit, which is
made on the very revision that was looked at. A push that broke off is completed by running it again.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, ModelInfo, hf_hub_url
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from fakelens import __version__
from fakelens.errors import UserError
from fakelens.hub.card.preserved_sections import carry_over
from fakelens.hub.facts.checkpoint import CONFIG
from fakelens.hub.hub_errors import check_repo_id, find_token, hub_errors, persist
from fakelens.hub.preflight import CARD, EXAMPLES, REPLACED
from fakelens.hub.publish import Files

VERSION = re.compile(r"\d+(\.\d+){0,2}([-.]?[0-9A-Za-z]+)*")


@dataclass(frozen=True)
class Published:
    """Where a push went.

    Attributes:
        url: The repo's page, or the pull request's.
        commit: SHA of the commit.
        changed: False if the repo held exactly these files already, and no commit was made.
        tag: The commit's new tag, "" for none.
    """

    url: str
    commit: str
    changed: bool
    tag: str = ""


def check_version(version: str | None, create_pr: bool) -> None:
    """Check a version's name.

    Args:
        version: `1.2.0`; None for none.
        create_pr: Whether a pull request is wanted, which cannot have one.

    Raises:
        UserError: If it is no name of a version, or cannot be had.
    """
    if version is not None and not VERSION.fullmatch(version):
        raise UserError(f"{version!r} is no version. Write it as 1.2.0; its tag is then v1.2.0.")
    if version is not None and create_pr:
        raise UserError("A pull request gets no tag. Leave --version out, and publish with it once that is merged.")


def publish(
    files: Files, repo_id: str, private: bool = False, create_pr: bool = False, version: str | None = None
) -> Published:
    """Push a model's repo in one commit, creating the repo if it is not there.

    Weights, plots and results of an earlier push that are not among the files are removed by the same commit. Files
    that fakelens does not write are left as they are, and what people wrote into the card is kept. What fails by a
    fault that may pass is tried again; a pull request is not, because a lost answer would make two of it.

    Args:
        files: What `collect_files` returned.
        repo_id: `USER/NAME`.
        private: Create the repo as a private one.
        create_pr: Open a pull request instead of changing the main branch.
        version: Name of the version, whose tag (`v1.2.0` for `1.2.0`) the commit gets; None for no tag.

    Raises:
        UserError: If there is no token, the Hub refuses or cannot be reached, the repo is public and should not be,
            holds another architecture or a card that cannot be read, or has that tag.
    """
    check_repo_id(repo_id)
    check_version(version, create_pr)
    api = HfApi(token=find_token(), library_name="fakelens", library_version=__version__)
    with hub_errors(f"The push to {repo_id}"):
        url = str(persist(lambda: api.create_repo(repo_id, private=private or None, exist_ok=True)))
        before = persist(lambda: api.model_info(repo_id))
        if private and not before.private:
            raise UserError(
                f"{repo_id} exists and is public. Make it private in its settings, {url}/settings, or take a new name."
            )
        _check_architecture(before, files, repo_id)
        if version:
            tags = persist(lambda: _tags(api, repo_id))
            if target := tags.get(f"v{version}"):
                raise UserError(f"{repo_id} has a version {version} already, commit {target}. Take the next number.")
        commit = None if create_pr else persist(lambda: _commit(api, repo_id, files))
    if commit is None:
        with hub_errors(f"The pull request to {repo_id} (if its answer alone was lost, see {url}/discussions)"):
            commit = _commit(api, repo_id, files, create_pr=True)
    if version:
        with hub_errors(f"{repo_id} has the files, as commit {commit.oid}, but tagging it v{version}"):
            persist(lambda: _tag(api, repo_id, f"v{version}", commit.oid))
    return Published(commit.pr_url or url, commit.oid, commit.oid != before.sha, f"v{version}" if version else "")


def _commit(api: HfApi, repo_id: str, files: Files, create_pr: bool = False) -> CommitInfo:
    """Make the commit, or none if an attempt whose answer was lost has made it."""
    before = api.model_info(repo_id)
    present = {sibling.rfilename for sibling in before.siblings or []}
    replaced = set(filter(REPLACED.fullmatch, present))
    if CARD in present:
        card, keeps_images = carry_over(_text(files[CARD]), download(api, repo_id, CARD, before.sha), repo_id)
        if keeps_images:
            files = {name: content for name, content in files.items() if not re.fullmatch(EXAMPLES, name)}
        elif any(re.fullmatch(EXAMPLES, name) for name in files):
            replaced |= {name for name in present if re.fullmatch(EXAMPLES, name)}
        files = files | {CARD: card.encode()}
    return api.create_commit(
        repo_id,
        [
            *(CommitOperationAdd(name, content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in sorted(replaced - files.keys())),
        ],
        commit_message=f"Publish with fakelens {__version__}",
        create_pr=create_pr,
        # Nothing is written on top of a revision that was not looked at.
        parent_commit=before.sha,
    )


def _check_architecture(before: ModelInfo, files: Files, repo_id: str) -> None:
    there = (before.config or {}).get("architectures")
    here = json.loads(_text(files[CONFIG]))["architectures"]
    if there and there != here:
        raise UserError(
            f"{repo_id} holds a {there[0]}, this is a {here[0]}: whoever loads it by name would get another network. "
            "Take a new name, or delete that repo first."
        )


def _text(content: bytes | Path) -> str:
    return (content if isinstance(content, bytes) else content.read_bytes()).decode()


def download(api: HfApi, repo_id: str, name: str, revision: str | None, repo_type: str | None = None) -> bytes:
    """Read a small file as it is at a revision, past every cache.

    Args:
        api: Whose Hub and token.
        repo_id: `USER/NAME`.
        name: The file's path in the repo.
        revision: The commit; the newest if None.
        repo_type: `dataset` or `space`; a model's repo if None.
    """
    url = hf_hub_url(repo_id, name, revision=revision, endpoint=api.endpoint, repo_type=repo_type)
    answer = get_session().get(url, headers=build_hf_headers(token=api.token))
    hf_raise_for_status(answer)
    return answer.content


def _tags(api: HfApi, repo_id: str) -> dict[str, str]:
    return {tag.name: tag.target_commit for tag in api.list_repo_refs(repo_id).tags}


def _tag(api: HfApi, repo_id: str, tag: str, commit: str) -> None:
    """Tag a commit, unless an attempt whose answer was lost has done it."""
    if _tags(api, repo_id).get(tag) != commit:
        api.create_tag(repo_id, tag=tag, revision=commit)
