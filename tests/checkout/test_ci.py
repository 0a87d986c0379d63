"""`.ci/run` works in a clone of the commit that is checked out, wherever that lies, and ends as its commands do."""

import os
import shutil
import subprocess

import pytest

from tests.checkout.left_alone import ROOT

# Stands for make: notes what was asked of it and where, and fails for one target.
MAKE = """#!/bin/bash
echo "$1 in $PWD with ${FAKELENS_SCREENSHOTS:-no screenshots}"
[[ $1 != "$BROKEN" ]]
"""


@pytest.fixture
def run(tmp_path):
    """Run CI in a small repository, with a stand-in for make, of which one target may be broken."""
    checkout, programs, temporary = (tmp_path / name for name in ("check out", "bin", "temporary"))
    for folder in (checkout / ".ci", programs, temporary):
        folder.mkdir(parents=True)
    shutil.copyfile(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    (programs / "make").write_text(MAKE)
    (programs / "make").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "FAKELENS_"))}
    environment |= {"PATH": f"{programs}{os.pathsep}{environment['PATH']}", "TMPDIR": str(temporary)}
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *words], cwd=checkout, env=environment, check=True)

    def ci(broken=""):
        command = ["bash", checkout / ".ci" / "run"]
        done = subprocess.run(command, env=environment | {"BROKEN": broken}, capture_output=True, text=True)
        assert not list(temporary.iterdir())
        return done

    ci.screenshots = checkout / "build" / "screenshots"
    return ci


def test_the_clone_has_the_repositorys_own_name_below_a_folder_with_a_space(run):
    done = run()
    assert done.returncode == 0 and not done.stderr
    said = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["quality", "docs", "demo", "browser", "test-slow", "test"]
    assert all("/a folder/fakelens with " in line for line in said)
    assert all(line.endswith(f" with {run.screenshots}") for line in said[-2:])


@pytest.mark.parametrize("broken", ["quality", "test"])
def test_what_fails_ends_it(run, broken):
    done = run(broken)
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith(f"{broken} in ")


def test_it_says_that_changes_are_not_tested(run):
    (run.screenshots.parents[1] / "changed").write_text("1")
    assert "not committed" in run().stderr
