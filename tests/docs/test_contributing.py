"""CONTRIBUTING.md, hooks, issue templates and the release: they name what is there, and the same checks."""

import re

import pytest
import yaml

from tests.readme import ROOT, contents

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RELEASING = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, flags=re.MULTILINE))
SECTIONS = dict(re.findall(r"^## (Add an? [a-z ]+)\n\n(.+?)(?=\n## |\Z)", GUIDE, flags=re.MULTILINE | re.DOTALL))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def missing(text: str) -> list[str]:
    """Return the paths that a text names and that are not there; an X in one stands for any name."""
    paths = re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|yaml|toml|cff))`", text)
    return [path for path in paths if not list(ROOT.glob(re.sub(r"(?<![A-Za-z])X(?![A-Za-z])|_X\b", "*", path)))]


def test_there_is_a_guide_to_each_addition():
    kinds = ("network", "degradation", "metric", "data protocol", "verb")
    assert list(SECTIONS) == [f"Add a {kind}" for kind in kinds]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_guide_is_short_and_names_files_that_are_there(title):
    text = SECTIONS[title]
    assert len(text.strip().splitlines()) < 10
    assert "`tests/" in text and text.count("`modeling/fakelens/") + text.count("`scripts/") >= 1
    assert not missing(text)


@pytest.mark.parametrize("wrong", ["`scripts/nothing/X.py`", "`modeling/fakelens/metrics/nothing.py`", "`nothing.md`"])
def test_a_path_that_is_not_there_is_found(wrong):
    assert missing(f"1. {wrong}: it") == [wrong.strip("`")]


def test_the_hooks_are_the_checks_of_make_quality():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in RECIPES["quality"].splitlines()]
    assert [hook["entry"] for hook in hooks] == checks
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in hooks)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_for_something(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])
    assert len({field["id"] for field in form["body"]}) == len(form["body"])


def test_a_release_is_built_without_being_published():
    steps = RECIPES["release-dry-run"]
    assert "-m build" in steps and "--dry-run build/release/space" in steps
    assert re.search(r"^release-dry-run: docs\b", MAKEFILE, flags=re.MULTILINE) and "--strict" in RECIPES["docs"]
    assert "make release-dry-run" in RELEASING and not missing(RELEASING)


def test_every_page_of_the_docs_is_in_their_contents():
    kept = [page for page in contents() if not page.startswith("reference/")]
    assert sorted(kept) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
