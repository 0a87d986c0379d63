"""Where uploads wait until they are scored: a private folder in memory, swept of what was left behind."""

import atexit
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 512 * 2**20  # bytes that a folder in memory needs; a container may have much less there
AGE = 600  # seconds after which a file has been forgotten: its upload broke off, or its turn never came
PAUSE = 60  # seconds between two looks


def private_folder() -> Path:
    """Make Gradio put uploads into a folder that only this user can read, in memory if there is room.

    The folder goes when the process ends. A folder that `$GRADIO_TEMP_DIR` names is taken as it is.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if given := os.environ.get("GRADIO_TEMP_DIR"):
        return Path(given)
    place = MEMORY if in_memory(MEMORY) and shutil.disk_usage(MEMORY).free >= ROOM else None
    folder = Path(tempfile.mkdtemp(prefix="fakelens-", dir=place))  # readable by its owner alone
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    threading.Thread(target=_sweep_for_ever, args=(folder,), daemon=True).start()
    return folder


def upload_folder() -> Path:
    """Return the folder that uploads are put in, which `private_folder` made."""
    return Path(os.environ["GRADIO_TEMP_DIR"])


def in_memory(folder: Path) -> bool:
    """Tell whether what is written to a folder stays in memory: it is, or lies in, a writable tmpfs."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:  # not Linux
        return False
    above = [(len(at), kind) for at, kind in mounts if Path(at) in (folder, *folder.parents)]
    return bool(above) and max(above)[1] == "tmpfs" and os.access(folder, os.W_OK)


def sweep(folder: Path, age: float = AGE) -> None:
    """Delete the files of a folder that are older than `age` seconds, and folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what lies in a folder before the folder
        try:
            if time.time() - path.lstat().st_mtime < age:
                continue
            path.rmdir() if path.is_dir() else path.unlink()
        except OSError:  # taken by its own event meanwhile, or a folder in use
            continue


def _sweep_for_ever(folder: Path) -> None:
    while True:
        time.sleep(PAUSE)
        sweep(folder)
