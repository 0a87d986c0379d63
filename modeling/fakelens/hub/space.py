"""The app in `space/`, fakelens itself and the versions installed here -> a Space on the Hub that stands on its own.

A Space installs its `requirements.txt` from the package index, where fakelens is not: its source travels with the app,
and so does the model inside it, which the app offers where no other is named.
The versions are pinned to those that the app has been run with, so that a rebuilt Space is the same Space.
"""

import re
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, SpaceCard, SpaceInfo
from packaging.requirements import Requirement
from packaging.version import Version

import fakelens
from fakelens import __version__
from fakelens.errors import UserError
from fakelens.hub.hub_errors import check_repo_id, find_token, hub_errors, persist
from fakelens.hub.preflight import CARD, check_files
from fakelens.hub.publish import Files
from fakelens.hub.push import Published

SDK = "gradio"
APP, REQUIREMENTS = "app.py", "requirements.txt"
BESIDE = ("style.css", "page.js")  # what the app reads at its start
MODULES = ("pages", "server")  # its other modules
EXAMPLES = "examples"  # the images that it offers to be tried with
SHIPPED = "fakelens/shipped"  # the models inside the package
# Kinds of files that are not the package's -> the most bytes that one may have.
LIMITS = {
    re.escape(APP): 100_000,
    re.escape(REQUIREMENTS): 100_000,
    re.escape(CARD): 1_000_000,
    r"style\.css|page\.js": 100_000,
    rf"(?:{'|'.join(MODULES)})/\w+\.py": 100_000,
    rf"{EXAMPLES}/\w+\.(?:png|jpg)": 300_000,
    rf"{SHIPPED}/\w+/(?:config|preprocessor_config|run)\.json": 1_000_000,
    rf"{SHIPPED}/\w+/README\.md": 1_000_000,
    rf"{SHIPPED}/\w+/model\.safetensors": 8_000_000,
}
MARK = "fakelens/__init__.py"  # what tells a Space of ours from another
# The package's source, and what lets the app ask which version it is. Left over from an earlier push, they would be
# imported beside the new ones.
REPLACED = re.compile(
    rf"fakelens/.+\.py|{SHIPPED}/.+|fakelens-[^/]+\.dist-info/METADATA|(?:{'|'.join(MODULES)})/\w+\.py"
    rf"|{EXAMPLES}/\w+\.(?:png|jpg)"
)
# All that a dry run writes.
SPACE_FILES = re.compile("|".join([*LIMITS, REPLACED.pattern]))


def collect_space(folder: Path, models: list[str]) -> Files:
    """Gather what a Space's repo consists of: the app, the package with its model, pinned requirements, front matter.

    Args:
        folder: The app's folder, with `app.py`, `page.js`, `style.css`, `requirements.txt`, a `README.md` with front
            matter, its modules in `pages` and `server`, and images in
            `examples`.
        models: `USER/NAME` of each model that the app offers, the first one chosen beforehand; with none, it offers
            the model inside the package.

    Raises:
        UserError: If there is no model or no such file, a model's name is no repo name, a requirement is not
            installed here, or a file holds a secret or a path of this machine.
    """
    for model in models:
        check_repo_id(model)
    for name in (APP, *BESIDE, REQUIREMENTS, CARD):
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no {name}, so it is no Space. Name the folder of the app.")
    package = Path(fakelens.__file__).parent
    sources = {
        f"fakelens/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*.py")
        if folder not in path.parents  # in a wheel, the app itself lies in the package
    }
    inside = (path for path in (package.parent / SHIPPED).rglob("*") if path.is_file() and path.suffix != ".pyc")
    shipped: Files = {path.relative_to(package.parent).as_posix(): path for path in inside}
    if not models and not shipped:
        raise UserError(
            "A Space needs a model, and this copy of fakelens holds none. Name the ones on the Hub that it is to "
            "offer: --models USER/NAME ..."
        )
    own = [folder / APP, *(folder / name for name in BESIDE)]
    own += [path for name in MODULES for path in sorted((folder / name).glob("*.py"))]
    own += [path for kind in ("png", "jpg") for path in sorted((folder / EXAMPLES).glob(f"*.{kind}"))]
    files: Files = {**sources, **shipped, **{path.relative_to(folder).as_posix(): path for path in own}}
    # Python looks for an installed package's version beside the code, too.
    metadata = f"fakelens-{__version__}.dist-info/METADATA"
    files[metadata] = f"Metadata-Version: 2.1\nName: fakelens\nVersion: {__version__}\n".encode()
    files[REQUIREMENTS] = pinned(folder / REQUIREMENTS).encode()
    files[CARD] = front_matter(folder / CARD, models).encode()
    # The rest is the package, as everybody has it.
    check_files({name: content for name, content in files.items() if name not in sources and name != metadata}, LIMITS)
    return dict(sorted(files.items()))


def pinned(requirements: Path) -> str:
    """Return a requirements file with each package at the version that is installed here.

    Args:
        requirements: One requirement a line; comments and blank lines are left out.

    Raises:
        UserError: If a requirement cannot be read, or its package is not installed.
    """
    lines = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if not (text := line.partition("#")[0].strip()):
            continue
        try:
            wanted = Requirement(text)
            # Without a build's own mark, 2.15.0+cpu: the index does not have those.
            installed = Version(version(wanted.name)).public
        except PackageNotFoundError:
            raise UserError(
                f"{requirements} asks for {wanted.name}, which is not installed here, so that its version cannot be "
                f"pinned. Run: pip install -r {requirements}"
            ) from None
        except ValueError as error:
            raise UserError(f"{requirements} holds {line!r}, which is no requirement: {error}. Correct it.") from None
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        lines.append(f"{wanted.name}{extras}=={installed}\n")
    return "".join(lines)


def front_matter(card: Path, models: list[str]) -> str:
    """Return a Space's README.md, its front matter filled with what the app is run with.

    Args:
        card: The README.md, whose other entries and text are kept.
        models: The models' names, from which the app takes them, too; none for the package's own.

    Raises:
        UserError: If the front matter cannot be read.
    """
    try:
        space = SpaceCard(card.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"The front matter of {card} cannot be read: {' '.join(str(error).split())}. Mend it."
        ) from None
    filled = {
        "sdk": SDK,
        "sdk_version": version(SDK),
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "app_file": APP,
        "models": models or None,  # without one, no such line
    }
    for key, value in filled.items():
        space.data[key] = value
    return str(space)


def publish_space(
    files: Files, repo_id: str, models: list[str], private: bool = False, create_pr: bool = False
) -> Published:
    """Push a Space in one commit, creating it if it is not there.

    Modules of an earlier version of fakelens are removed by the same commit; files that fakelens does not write are
    left as they are. A push that broke off is completed by running it again.

    Args:
        files: What `collect_space` returned.
        repo_id: `USER/NAME` of the Space.
        models: The models that it offers beside the package's own, which have to be on the Hub.
        private: Create the Space as a private one.
        create_pr: Open a pull request instead of changing the main branch.

    Raises:
        UserError: If there is no token, the Hub refuses or cannot be reached, lacks a model, or the Space is public
            and should not be, or holds another app.
    """
    check_repo_id(repo_id)
    api = HfApi(token=find_token(), library_name="fakelens", library_version=__version__)
    for model in models:
        with hub_errors(f"Looking for the model {model} on the Hub"):
            persist(partial(api.model_info, model))
    with hub_errors(f"The push to the Space {repo_id}"):
        url = str(
            persist(
                lambda: api.create_repo(
                    repo_id, repo_type="space", space_sdk=SDK, private=private or None, exist_ok=True
                )
            )
        )
        before = persist(lambda: api.space_info(repo_id))
        if private and not before.private:
            raise UserError(
                f"The Space {repo_id} exists and is public. Make it private in its settings, {url}/settings, or take "
                "a new name."
            )
        present = names_in(before)
        if APP in present and MARK not in present:
            raise UserError(f"The Space {repo_id} holds another app, which would be lost. Take a new name.")
        commit = _commit(api, repo_id, files, True) if create_pr else persist(lambda: _commit(api, repo_id, files))
    return Published(commit.pr_url or url, commit.oid, commit.oid != before.sha)


def names_in(space: SpaceInfo) -> set[str]:
    """Return the paths of a Space's files."""
    return {sibling.rfilename for sibling in space.siblings or []}


def _commit(api: HfApi, repo_id: str, files: Files, create_pr: bool = False) -> CommitInfo:
    """Make the commit, or none if an attempt whose answer was lost has made it."""
    before = api.space_info(repo_id)
    stale = set(filter(REPLACED.fullmatch, names_in(before))) - files.keys()
    return api.create_commit(
        repo_id,
        [
            *(CommitOperationAdd(name, content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in sorted(stale)),
        ],
        repo_type="space",
        commit_message=f"Publish with fakelens {__version__}",
        create_pr=create_pr,
        parent_commit=before.sha,  # nothing is written on top of a revision that was not looked at
    )
