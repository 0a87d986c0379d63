"""The Space's app, in a process of its own or in the test's, with its uploads where a test can look at them."""

import contextlib
import importlib
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

import fakelens
from tests.conftest import SCRIPTS

SPACE = SCRIPTS.parent / "space"
PACKAGE = Path(fakelens.__file__).resolve().parent
if str(SPACE) not in sys.path:
    sys.path.insert(0, str(SPACE))  # where `python space/app.py` finds its `pages`, too
app_script, batch, compare, compare_tables = map(
    importlib.import_module, ("app", "pages.batch", "pages.compare", "pages.compare_tables")
)


@dataclass(frozen=True)
class App:
    """A running app: its address, the folder of its uploads, and its log if it is a process of its own."""

    url: str
    uploads: Path
    log: Path | None = None

    def client(self) -> Client:
        return Client(self.url, verbose=False)

    def uploaded(self) -> list[Path]:
        """Return what lies in the uploads' folder."""
        return [path for path in self.uploads.rglob("*") if path.is_file()]

    def tracebacks(self) -> list[str]:
        """Return the tracebacks in the log."""
        return self.log.read_text(errors="replace").split("Traceback")[1:]

    def own_tracebacks(self) -> list[str]:
        """Return the tracebacks with a line of ours in them, wherever the checkout and the environment lie."""
        files = [line for one in self.tracebacks() for line in re.findall(r'File "([^"]+)"', one)]
        return [file for file in files if is_ours(Path(file))]


def is_ours(file: Path) -> bool:
    """Tell whether a file is the app's or the package's, and not a library's in an environment beside them."""
    return any(folder in file.resolve().parents for folder in (SPACE.resolve(), PACKAGE))


@contextlib.contextmanager
def running(model, folder: Path):
    """Run the app with one model until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = App(f"http://127.0.0.1:{port}", folder / "uploads", folder / "log")
    app.uploads.mkdir()
    environment = os.environ | {
        "FAKELENS_MODEL": str(model),
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(app.uploads),
    }
    with app.log.open("w") as out:
        process = subprocess.Popen([sys.executable, SPACE / "app.py"], env=environment, stdout=out, stderr=out)
    try:
        for _ in range(280):  # a busy machine takes minutes to import everything
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{app.url}/health").status_code == 200:
                    break
            assert process.poll() is None, app.log.read_text()
            time.sleep(1)
        else:
            pytest.fail(f"the app did not start: {app.log.read_text()}")
        yield app
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def serving(detectors, folder: Path):
    """Run the app in this process, with detectors that are loaded, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        app = app_script.build(detectors)
        try:
            yield App(app_script.launch(app, detectors, prevent_thread_lock=True).rstrip("/"), folder)
        finally:
            app.close()
