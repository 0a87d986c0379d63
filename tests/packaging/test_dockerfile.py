"""The Dockerfile, read as Docker reads it: what it builds on, what it installs, and who runs it."""

import re
import tomllib

import pytest

from tests.conftest import SCRIPTS

ROOT = SCRIPTS.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "LABEL", "RUN", "USER", "WORKDIR"}


def steps(text):
    """Return instruction and argument of each step, continued lines joined, by stage."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [line.split(maxsplit=1) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]
    stages = []
    for name, argument in found:
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, " ".join(argument.split())))
    return stages


def arguments(stage, name):
    return [argument for found, argument in stage if found == name]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_line_is_an_instruction():
    assert {name for stage in steps(TEXT) for name, _ in stage} <= INSTRUCTIONS


def test_both_stages_build_on_a_python_that_is_declared(project):
    oldest = tuple(map(int, re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"]).groups()))
    bases = [arguments(stage, "FROM")[0].split()[0] for stage in steps(TEXT)]
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", bases[0])
    assert version and tuple(map(int, version.groups())) >= oldest
    declared = f"Programming Language :: Python :: {version[1]}.{version[2]}"
    assert declared in project["classifiers"]


def test_the_wheel_is_installed_with_extras_that_there_are_and_nothing_is_kept_in_a_cache(project):
    wheel, final = steps(TEXT)
    assert arguments(wheel, "RUN") == ["pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source"]
    runs = arguments(final, "RUN")
    pip = [run for run in runs if "pip " in run]
    assert len(pip) == 2 and all("pip install --no-cache-dir" in run for run in pip)
    assert '"$(echo /wheels/fakelens-*.whl)[$EXTRAS]"' in pip[1] and '[ -n "$TORCH_INDEX" ]' in pip[0]
    assert "--from=wheel /wheels /wheels" in arguments(final, "COPY")
    named = re.findall(r"EXTRAS=([\w,]+)", TEXT)
    assert named and {extra for names in named for extra in names.split(",")} <= set(project["optional-dependencies"])


def test_it_runs_fakelens_and_not_as_root(project):
    final = steps(TEXT)[-1]
    (user,) = arguments(final, "USER")
    assert user != "root" and any(f"useradd --create-home --uid 1000 {user}" in run for run in arguments(final, "RUN"))
    last = [name for name, _ in final]
    assert last.index("USER") > max(i for i, name in enumerate(last) if name in ("RUN", "COPY"))
    assert arguments(final, "ENTRYPOINT") == ['["fakelens"]'] and "fakelens" in project["name"]


def test_the_build_sees_no_secrets_and_no_leftovers():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "runs", "**/node_modules"} <= set(ignored)
    needed = {"modeling", "recipes", "model_cards", "space", "setup.py", "pyproject.toml", "README.md", "LICENSE"}
    assert not needed & set(ignored) and all((ROOT / name).exists() for name in needed)
