import os
import shutil
import subprocess
import sys

import pytest

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
def publish(server):
    """Run scripts/publish.py as a person would, against the local Hub; entries of None leave the environment."""

    def run(*args, **env):
        environment = os.environ | server.env | env
        return subprocess.run(
            [sys.executable, SCRIPTS / "publish.py", *map(str, args)],
            env={key: value for key, value in environment.items() if value is not None},
            capture_output=True,
            text=True,
        )

    return run
