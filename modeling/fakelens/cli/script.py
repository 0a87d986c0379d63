"""The frame that every verb and benchmark runs in, and its parser of a dataclass."""

import argparse
import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fakelens.errors import UserError

if TYPE_CHECKING:  # datasets takes a second to import: `--help` does without
    from fakelens.data.sources.columns import ReadOptions
    from fakelens.data.sources.label_rules import LabelRules

Arguments = TypeVar("Arguments")
# glibc's mallopt (malloc.h): M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD; bytes where they are not a number of blocks.
MALLOC = {-4: 0, -1: 2**31 - 1, -2: 2**27}


@dataclass(kw_only=True)
class LabelArguments:
    """What the classes of a model, or of data, mean."""

    label_map: str | None = field(
        default=None,
        metadata={
            "help": "What classes mean where their names do not say: real=NAME,fake=NAME,skip=NAME; several as A|B."
        },
    )
    real_label: str | None = field(
        default=None, metadata={"help": "The class of real images; every class that is not named is then fake."}
    )


@dataclass(kw_only=True)
class ColumnArguments:
    """What the columns of data are."""

    image_column: str | None = field(default=None, metadata={"help": "Column of the images, or of their paths."})
    label_column: str | None = field(default=None, metadata={"help": "Column of the labels."})
    generator_column: str | None = field(
        default=None, metadata={"help": "Column that names what made an image; `folder` for class folders."}
    )
    protocol: str | None = field(
        default=None, metadata={"help": "Take columns and classes from a published split by name, such as genimage."}
    )

    def read(self, label_map: str | None, real_label: str | None, is_strict: bool) -> "ReadOptions":
        """Return the options as the package takes them.

        Args:
            label_map: What the user says of classes.
            real_label: The class of real images.
            is_strict: Refuse a class name that the data lacks; not where it may be a model's.

        Raises:
            UserError: If the label map is not understood, or there is no such protocol.
        """
        from fakelens.data.sources.columns import ReadOptions
        from fakelens.data.splits import protocols

        columns = {name: getattr(self, name) for name in protocols.READ if name.endswith("_column")}
        said = columns | {"label_map": label_map, "real_label": real_label}
        published = protocols.get(self.protocol).read if self.protocol else {}
        said = published | {name: value for name, value in said.items() if value is not None}
        return ReadOptions.parse(**said, is_strict=is_strict)


@dataclass(kw_only=True)
class ReadArguments(ColumnArguments, LabelArguments):
    """What the classes and columns of data are, and the classes of one model beside it."""

    def read_options(self, is_strict: bool = True) -> "ReadOptions":
        """Return the options as the package takes them.

        Args:
            is_strict: Refuse a class name that the data lacks; not where it may be a model's.

        Raises:
            UserError: If the label map is not understood, or there is no such protocol.
        """
        return self.read(self.label_map, self.real_label, is_strict)


@dataclass(kw_only=True)
class SeveralModelsArguments(ColumnArguments):
    """What the columns of data are, and the classes of data and of several models."""

    model: list[str]
    label_map: list[str] = field(
        default_factory=list,
        metadata={
            "help": "What classes mean where their names do not say: real=NAME,fake=NAME,skip=NAME; several as A|B; "
            "of one model alone MODEL=real=NAME,fake=NAME."
        },
    )
    real_label: str | None = field(
        default=None, metadata={"help": "The class of real images; every class that is not named is then fake."}
    )

    def read_options(self) -> "tuple[ReadOptions, dict[str, LabelRules]]":
        """Return the options as the package takes them, and what was said of single models' classes.

        Raises:
            UserError: If a label map is not understood, or there is no such protocol.
        """
        from fakelens.data.sources.label_rules import LabelRules, split_maps

        shared, own = split_maps(self.label_map, self.model)
        read = self.read(shared, self.real_label, is_strict=False)
        return read, {model: LabelRules.parse(label_map) for model, label_map in own.items()}


SOURCE = (  # what `--data` takes, see `fakelens.data.sources.opening`
    "Hub data set USER/NAME[:CONFIG][@REVISION] (`openfake`, `openfake:reddit` for short), folder of parquet or "
    "WebDataset shards, of class folders or of images with metadata.csv, list of images (CSV, JSONL), or `sample`."
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
        arguments: The dataclass. A field that its constructor does not take (`init=False`) is given by its position.
        description: The script's docstring, with its examples.
        prog: The program's name; without it, this process's.
    """
    from transformers import HfArgumentParser  # a second and more: `fakelens --help` does without

    parser = HfArgumentParser(
        arguments,
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for each in fields(arguments):
        if not each.init:
            parser.add_argument(each.name, metavar=each.name.upper(), help=each.metadata["help"])
    return parser


def parse_all(parser: Any, words: list[str] | None = None) -> Any:
    """Return the dataclass that a command line stands for; a word that is no option ends the process.

    Args:
        parser: What `dataclass_parser` returned.
        words: The command line; without it, this process's.
    """
    parsed, *by_position, unknown = parser.parse_args_into_dataclasses(words, return_remaining_strings=True)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    for namespace in by_position:
        vars(parsed).update(vars(namespace))
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
    keep_memory()
    try:
        yield
        leave_processes()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)


def keep_memory() -> None:
    """Let this process keep the memory that it frees, where its C library is glibc.

    glibc gives every large block back to the kernel at once, and a network on a CPU wants the same blocks again for
    the next batch: getting them anew, page by page, may take half of its time. The price: memory once needed is this
    process's until it ends.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # not Linux, or another C library
        return
    for setting, value in MALLOC.items():
        mallopt(setting, value)


def leave_processes() -> None:
    """Leave the processes that were launched together, if any: one that ends connected may abort in gloo's threads.

    Only after success: where one failed, others may wait for it, and leaving would wait for them.
    """
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
