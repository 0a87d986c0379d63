"""`make setup` installs the versions that the tests were green with, and the README says which they are."""

import json
import os
import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fakelens.zoo.shipped import SHIPPED_FOLDER
from tests.checkout import versions
from tests.checkout.left_alone import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LISTS = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
NEEDED = [need for needs in LISTS for need in map(Requirement, needs) if need.name != PROJECT["name"]]


def planned(*words: str) -> str:
    """Return the commands that make would run, whatever is up to date and whatever make runs this test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--always-make", "--dry-run", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_every_line_is_a_version_and_nothing_of_a_machine():
    lines = versions.LOCK.read_text(encoding="utf-8").splitlines()
    assert "make lock" in lines[0] and re.match(r"# Python 3\.\d+\.\d+ on \w+ \w+$", lines[1])
    assert len(lines) > 100
    for line in lines[2:]:
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.]+", line), line


@pytest.mark.parametrize("need", NEEDED, ids=str)
def test_every_library_that_is_asked_for_is_locked_within_its_bounds(need):
    locked = {canonicalize_name(name): version for name, version in versions.locked().items()}
    assert need.specifier.contains(locked[canonicalize_name(need.name)], prereleases=True)


def test_setup_installs_the_locked_versions_and_test_latest_the_newest_elsewhere():
    (install,) = (line for line in planned("setup").splitlines() if "pip install" in line)
    assert install.startswith(".venv/") and "--constraint requirements/constraints.txt" in install
    latest = planned("test-latest")
    (install,) = (line for line in latest.splitlines() if "pip install" in line)
    assert install.startswith(".venv-latest/") and "constraint" not in install
    assert ".venv-latest/bin/python -m pytest" in latest


def test_the_readme_says_which_versions_they_are():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    link = r"\[the locked versions\]\(requirements/constraints\.txt\)"
    ((python, stated),) = re.findall(rf"{link}, with which the tests were green on Python ([\d.]+): (.+?)\. ", text)
    assert f"# Python {python}." in versions.LOCK.read_text(encoding="utf-8")
    named = dict(part.split() for part in stated.split(", "))
    assert {"torch", "transformers", "datasets", "timm", "gradio"} <= set(named)
    assert named == {name: versions.locked()[name] for name in named}


def test_the_readme_says_with_which_the_model_in_the_package_was_trained():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    trained = json.loads((SHIPPED_FOLDER / "run.json").read_text(encoding="utf-8"))["environment"]
    torch, transformers = trained["torch"].partition("+")[0], trained["transformers"]
    assert f"the model in the package was trained with torch {torch} and transformers {transformers}." in text


def test_a_library_in_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "LOCK", tmp_path / "constraints.txt")
    versions.LOCK.write_text("# Python 3.11.7 on Linux x86_64\npytest==0.1\nof-another-platform==1\n")
    (line,) = versions.unlocked()
    assert line == f"pytest {pytest.__version__} is installed; the tests were green with 0.1"
