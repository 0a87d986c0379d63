"""Fixtures shared by all tests: offline, a private cache, tiny models and images."""

import atexit
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.checkout.left_alone import left_alone
from tests.checkout.versions import unlocked

# Before anything imports a Hub client: no test may reach for the network or a user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Nor find, or leave, models and data at home: pytest-xdist's workers share what the first process made.
if "PYTEST_XDIST_WORKER" not in os.environ:
    HOME = tempfile.mkdtemp(prefix="fakelens-tests-")
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_METRICS_CACHE", "HF_TOKEN_PATH"):
        os.environ.pop(name, None)
    os.environ["HF_HOME"] = f"{HOME}/huggingface"
    # Matplotlib takes seconds to list the fonts anew, in every process where it cannot keep the list.
    if not os.access(os.path.expanduser("~"), os.W_OK):
        os.environ["MPLCONFIGDIR"] = f"{HOME}/matplotlib"
# Tiny networks gain nothing from threads, and test processes side by side would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SCRIPTS = Path(__file__).parents[1] / "scripts"


def load_script(name, folder=SCRIPTS):
    """Import a folder's `NAME.py` under a name of its own: one of them is called `evaluate`, as a library is."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", folder / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def pytest_terminal_summary(terminalreporter):
    """Where tests fail, name the libraries that are not those which the tests were green with."""
    broken = terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")
    if broken and (lines := unlocked()):
        terminalreporter.section("not the locked versions")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session", autouse=True)
def checkout_left_alone(tmp_path_factory):
    """No test writes below the checkout."""
    with left_alone(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture(scope="session", autouse=True)
def no_pause_at_the_end_of_streams():
    """`datasets` sleeps five seconds when a stream of several shards ends, for a process that is about to exit."""
    import datasets

    datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Keep the embedded sample and tracked runs out of the user's own folders."""
    cache = tmp_path_factory.mktemp("cache")
    # One sample for all of pytest-xdist's workers, whose folders lie side by side.
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    os.environ["FAKELENS_CACHE"] = str(shared / "fakelens")
    os.environ["TRACKIO_DIR"] = str(cache / "trackio")
    return cache


@pytest.fixture(scope="session")
def sample(private_cache):
    """The embedded sample's folder, made once."""
    from filelock import FileLock

    from fakelens.data.sample import make_sample

    with FileLock(f"{os.environ['FAKELENS_CACHE']}.lock"):
        return make_sample()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A saved custom CNN with a few random weights, and its processor."""
    import torch

    from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[4, 8], classifier_size=4)).save_pretrained(folder)
    DetectorImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
