"""The Space as the Hub builds it: its repo alone, its requirements in a fresh environment, `python app.py`."""

import os
import shutil
import socket
import subprocess
import time
import venv
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from transformers import pipeline

from fakelens.hub.publish import assemble
from fakelens.hub.space import collect_space
from tests.abuse import make_image
from tests.conftest import SCRIPTS

SPACE = SCRIPTS.parent / "space"


def connect(process: subprocess.Popen, port: int, log: Path) -> Client:
    """Wait for the app, and return a client of it."""
    for _ in range(240):
        try:
            return Client(f"http://127.0.0.1:{port}", verbose=False)
        except (ValueError, OSError, httpx.HTTPError):
            assert process.poll() is None, log.read_text()
            time.sleep(1)
    pytest.fail(f"the app did not start: {log.read_text()}")


@pytest.fixture
def fresh(tmp_path):
    """An environment of its own, gone in the end: with torch in it, it takes several gigabytes."""
    venv.create(tmp_path / "venv", with_pip=True)
    yield tmp_path / "venv" / "bin" / "python"
    shutil.rmtree(tmp_path / "venv")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_fresh_environment_runs_the_published_space(tiny_model, fresh, tmp_path):
    assemble(collect_space(SPACE, ["user/tiny"]), tmp_path / "repo", [SPACE])
    # Needs a package index, as `make setup` does. Nothing else of this environment may be found.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    quietly = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    install = [fresh, "-m", "pip", "install", *quietly, "-r", "requirements.txt"]
    done = subprocess.run(install, cwd=tmp_path / "repo", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment |= {"FAKELENS_MODEL": str(tiny_model), "GRADIO_SERVER_PORT": str(port)}
    log = tmp_path / "log"
    with log.open("w") as out:
        app = subprocess.Popen([fresh, "app.py"], cwd=tmp_path / "repo", env=environment, stdout=out, stderr=out)
    try:
        make_image().save(tmp_path / "a.png")
        answer = connect(app, port, log).predict(handle_file(tmp_path / "a.png"), api_name="/classify")
    finally:
        app.terminate()
        app.wait(20)
    assert answer["error"] is None and answer["verdict"] in ("real", "fake", "uncertain")
    local = pipeline("image-classification", model=str(tiny_model), trust_remote_code=True)
    expected = {row["label"]: row["score"] for row in local(str(tmp_path / "a.png"))}
    assert answer["score"] == pytest.approx(expected["fake"], abs=2e-3)
