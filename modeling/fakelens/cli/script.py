"""The frame that every verb and benchmark runs in, and its parser of a dataclass."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fakelens.errors import UserError

Arguments = TypeVar("Arguments")

SOURCE = (  # what `--data` takes, see `fakelens.data.sources.opening`
    "Hub data set USER/NAME[:CONFIG][@REVISION] (`openfake`, `openfake:reddit` for short), folder of parquet files or "
    "of class folders, or `sample`."
)


def parse(arguments: type[Arguments], description: str | None) -> Arguments:
    """Read this process's command line into a dataclass.

    Args:
        arguments: The dataclass; each field's `help` is shown by `--help`.
        description: The script's docstring, with its examples.
    """
    return parse_all(dataclass_parser(arguments, description))


def dataclass_parser(arguments: type, description: str | None, prog: str | None = None) -> argparse.ArgumentParser:
    """Return transformers' parser of a dataclass.

    Args:
        arguments: The dataclass.
        description: The script's docstring, with its examples.
        prog: The program's name; without it, this process's.
    """
    from transformers import HfArgumentParser  # a second and more: `fakelens --help` does without

    return HfArgumentParser(
        arguments,
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse_all(parser: Any, words: list[str] | None = None) -> Any:
    """Return the dataclass that a command line stands for; a word that is no option ends the process.

    Args:
        parser: What `dataclass_parser` returned.
        words: The command line; without it, this process's.
    """
    parsed, *unknown = parser.parse_args_into_dataclasses(words, return_remaining_strings=True)
    if unknown[0]:
        parser.error(f"unrecognized arguments: {' '.join(unknown[0])}")
    return parsed


@contextmanager
def script(name: str) -> Iterator[None]:
    """Run a verb's body: what a user can put right is one line and exit status 2, Ctrl-C one line and 130.

    Args:
        name: The verb's name, before its messages.
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
