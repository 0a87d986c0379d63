import os
import runpy
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, hf_api
from huggingface_hub.utils import _http, close_session

from fakelens.hub import hub_errors
from tests.conftest import SCRIPTS
from tests.hub_fixture import hub


@pytest.fixture
def server():
    with hub() as running:
        yield running


@pytest.fixture
def model(tiny_model, tmp_path):
    """A model folder of its own, to be spoilt at will."""
    return shutil.copytree(tiny_model, tmp_path / "tiny")


@pytest.fixture
def at_the_hub(server, monkeypatch):
    """Let this process, where huggingface_hub is imported already, use the local Hub; nothing waits before a retry."""
    close_session()  # its client keeps the environment's proxies
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(hf_api.api, "endpoint", server.url)  # what `from_pretrained` asks
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", os.path.join(server.env["HF_HOME"], "token"))
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(hub_errors, "WAITS", (0.0, 0.0, 0.0))
    yield server
    close_session()


@pytest.fixture
def publish(at_the_hub, monkeypatch, capsys):
    """Run scripts/publish.py in this process, against the local Hub; entries of None leave the environment."""

    def run(*args, **env):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.delenv(name) if value is None else patch.setenv(name, value)
            patch.setattr(constants, "ENDPOINT", os.environ["HF_ENDPOINT"])
            patch.setattr(constants, "HF_HUB_OFFLINE", os.environ["HF_HUB_OFFLINE"] == "1")
            examples = () if "--examples" in args else ("--examples", "none")
            patch.setattr(sys, "argv", [str(SCRIPTS / "publish.py"), *map(str, args), *examples])
            patch.setattr(sys, "path", list(sys.path))
            try:
                runpy.run_path(sys.argv[0], run_name="__main__")
                code = 0
            except SystemExit as stopped:
                code = stopped.code or 0
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return run


@pytest.fixture
def start_publishing(server):
    """Start scripts/publish.py as a person would, in a process of its own that can be killed."""

    def start(*args):
        command = [sys.executable, SCRIPTS / "publish.py", *map(str, args), "--examples", "none"]
        environment = os.environ | server.env
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start
