"""The frame that every script runs in: what a user can put right is one line and exit status 2, not a traceback."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from transformers import HfArgumentParser

from fakelens.errors import UserError

Arguments = TypeVar("Arguments")

SOURCE = (  # what `--data` takes, see `fakelens.data.sources.opening`
    "Hub data set USER/NAME[:CONFIG][@REVISION] (`openfake`, `openfake:reddit` for short), folder of parquet files or "
    "of class folders, or `sample`."
)


def parse(arguments: type[Arguments], description: str | None) -> Arguments:
    """Read a script's command line into its dataclass.

    Args:
        arguments: The dataclass; each field's `help` is shown by `--help`.
        description: The script's docstring, with its examples.
    """
    parser = HfArgumentParser(
        arguments, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parsed, *unknown = parser.parse_args_into_dataclasses(return_remaining_strings=True)
    if unknown[0]:
        parser.error(f"unrecognized arguments: {' '.join(unknown[0])}")
    return parsed


@contextmanager
def script(name: str) -> Iterator[None]:
    """Run a script's body.

    Args:
        name: The script's name, before its messages.
    """
    # `python scripts/train.py` puts scripts/ first on the path, where our evaluate.py would hide the library.
    folder = Path(sys.argv[0]).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    try:
        yield
        leave_processes()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)


def leave_processes() -> None:
    """Leave the processes that were launched together, if any: one that ends connected may abort in gloo's threads.

    Only after success: where one failed, others may wait for it, and leaving would wait for them.
    """
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
