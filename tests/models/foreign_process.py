"""Run code in a Python that cannot import fakelens: the machine of someone who only has transformers."""

import os
import subprocess
import sys
import tempfile


def run_without_fakelens(code: str, *also_blocked: str) -> str:
    """Run `code` in a fresh process, offline, in an empty folder, and give what it printed.

    Args:
        code: Python source.
        *also_blocked: Further packages that shall seem not to be installed, such as `torchvision`.

    Returns:
        Its standard output.

    Raises:
        AssertionError: If it failed; the message is its standard error.
    """
    # None in sys.modules makes an import fail and find_spec find nothing, wherever the package is installed.
    blocks = f"import sys; sys.modules.update(dict.fromkeys({('fakelens', *also_blocked)!r}))\n"
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"HF_HOME": folder, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        done = subprocess.run(
            [sys.executable, "-c", blocks + code],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,  # a question on standard input fails instead of waiting for an answer
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout
