"""The verbs of the command: listed without a heavy import, completed, stopped, and named with the extra they lack."""

import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fakelens import __version__
from fakelens.cli.app import app, command_of
from fakelens.cli.verbs import TYPER, VERBS
from fakelens.cli.verbs.data import audit
from fakelens.resources import recipe_names
from tests.abuse import make_image
from tests.conftest import SCRIPTS

FAKELENS = [sys.executable, "-m", "fakelens"]
HEAVY = ("torch", "transformers", "datasets", "numpy", "PIL", "gradio", "rich")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_help_lists_every_verb_and_imports_nothing_heavy():
    program = (
        "import sys\nfrom fakelens.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr
    listed = done.stdout.partition("Verbs:")[2].split()
    assert set(VERBS) <= set(listed) and "Example: fakelens holiday.jpg" in done.stdout


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_has_an_example(name):
    result = run(name, "--help")
    assert result.exit_code == 0 and f"fakelens {name} " in result.output.replace("\n", " \n")


@pytest.mark.parametrize("name", [name for name in VERBS if name not in TYPER])
def test_a_verb_is_called_as_it_is_listed_and_knows_its_own_mistakes(name):
    assert command_of(name).verb.name == name
    result = run(name, "--no-such-option", "1")
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_every_script_is_a_verbs_own_main():
    for path in SCRIPTS.glob("*.py"):
        if path.stem.replace("_", "-") in VERBS:
            named = runpy.run_path(str(path), run_name="not main")
            assert named["VERB"] is command_of(path.stem.replace("_", "-")).verb


def test_version():
    assert run("--version").output.strip() == f"fakelens {__version__}"
    assert run("detect", "--version").exit_code == 0


def test_detect_is_the_default_and_a_verb(tmp_path, tiny_model):
    make_image().save(tmp_path / "a.png")
    with_verb = run("detect", tmp_path / "a.png", "--model", tiny_model, "--json")
    without = run(tmp_path / "a.png", "--model", tiny_model, "--json")
    assert json.loads(with_verb.stdout) == json.loads(without.stdout) and without.exit_code == 0


def completed(*words):
    """Return what bash is told that could stand for the last word."""
    environment = os.environ | {"_FAKELENS_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("fakelens", *words))}
    environment["COMP_CWORD"] = str(len(words))
    done = CliRunner().invoke(app, env=environment, prog_name="fakelens")
    return done.output.split()


def test_completion_knows_verbs_options_and_recipes():
    assert completed("tra") == ["train"] and completed("pre") == ["predict", "prepare"]
    assert "--max-fpr" in completed("photo.jpg", "--m") and completed("photo.jpg", "tra") == []
    assert completed("prepare", "--dist") == ["--distance"]
    assert completed("train", "s3") == [name for name in recipe_names() if name.startswith("s3")] != []


def test_a_verb_without_its_extra_names_it(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "gradio" else there(name))
    monkeypatch.setattr(
        "fakelens.cli.verbs.publishing.space.find_spec", lambda name: None if name == "gradio" else there(name)
    )
    result = run("space")
    assert result.exit_code == 2 and "pip install 'fakelens[space]'" in result.output
    monkeypatch.setattr("fakelens.inference.onnx_model.find_spec", lambda name: None)
    result = run("export", "--model", "nowhere", "--output", "out")
    assert result.exit_code == 2 and "pip install 'fakelens[onnx]'" in result.output


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "changes, said", [({"main": interrupt}, "audit: stopped\n"), ({"make_parser": interrupt}, "fakelens: stopped\n")]
)
def test_ctrl_c_in_a_verb_or_while_it_is_imported_is_one_line_and_exit_status_130(monkeypatch, changes, said):
    monkeypatch.setattr(audit, "VERB", replace(audit.VERB, **changes))
    result = run("audit", "--data", "sample")
    assert result.exit_code == 130 and result.stderr == said


def test_ctrl_c_leaves_the_rows_that_were_printed_whole(tmp_path, tiny_model):
    make_image(64, 48).save(tmp_path / "a.png")
    words = ["detect", *[tmp_path / "a.png"] * 2000, "--model", tiny_model, "--batch-size", "1", "--json"]
    running = subprocess.Popen(
        [*FAKELENS, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    first = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130 and err.strip() == "fakelens: stopped"
    rows = [json.loads(line) for line in (first + out).splitlines()]
    assert 1 <= len(rows) < 2000 and all(row["verdict"] for row in rows)


@pytest.mark.parametrize("home", ["a file", "missing", "unset"])
def test_a_home_that_cannot_be_written_does_not_matter(home, tmp_path, tiny_model):
    (tmp_path / "file").write_text("no folder")
    make_image().save(tmp_path / "a.png")
    caches = {"HF_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "FAKELENS_CACHE", "TRACKIO_DIR"}
    environment = {key: value for key, value in os.environ.items() if key not in caches}
    environment["HOME"] = str(tmp_path / "file" / "home") if home == "a file" else ""
    if home == "unset":
        del environment["HOME"]
        environment["HF_HOME"] = str(tmp_path / "file" / "hub")  # the machine's own account may have a home, not ours
    command = [*FAKELENS, str(tmp_path / "a.png"), "--model", str(tiny_model), "--save", str(tmp_path / "figure.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] and (tmp_path / "figure.png").is_file()
