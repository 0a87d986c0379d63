"""What every verb is: the words of a command line in, an exit status out.

Two libraries parse command lines, for neither does all of it. Typer parses `detect` and `models`, hands all else on,
and completes words in the shell. argparse, through transformers' HfArgumentParser, parses the verbs that train and
evaluate: their options take lists (`--split train test`), which Typer's cannot, and any key of a recipe or of
transformers' TrainingArguments is an option without being named here (`--phases.0.steps 10`).
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fakelens.cli.script import dataclass_parser, parse_all, script


@dataclass(frozen=True)
class Verb:
    """A verb of the command line: `fakelens NAME ...`, and `scripts/NAME.py ...` for a launcher of processes.

    Attributes:
        name: As it is typed, and before its messages.
        main: Does it; returns how many of its parts failed, or None.
        make_parser: Returns its parser, for a program of the name that it is given.
        takes_keys: Whether what the parser does not know are keys of a recipe, which `main` gets as a list.
    """

    name: str
    main: Callable[..., int | None]
    make_parser: Callable[[str | None], argparse.ArgumentParser]
    takes_keys: bool = False

    def run(self, words: list[str] | None = None) -> None:
        """Parse a command line and do what it says; ends the process with status 1 where a part failed.

        Args:
            words: What follows the verb; without them, those of this process, which runs the verb's script.
        """
        parser = self.make_parser(None if words is None else f"fakelens {self.name}")
        with script(self.name):
            if self.takes_keys:
                failed = self.main(*parser.parse_known_args(words))
            else:
                failed = self.main(parse_all(parser, words))
        if failed:
            sys.exit(1)


def dataclass_verb(name: str, main: Callable[[Any], int | None], arguments: type, description: str | None) -> Verb:
    """Return a verb whose options are the fields of a dataclass.

    Args:
        name: As it is typed.
        main: Does it, given the dataclass.
        arguments: The dataclass; each field's `help` is shown by `--help`.
        description: The module's docstring, with its examples.
    """
    return Verb(name, main, partial(dataclass_parser, arguments, description))


def recipe_verb_parser(description: str | None, prog: str | None) -> argparse.ArgumentParser:
    """Return the parser of a verb that takes a recipe, and any of its keys as an option.

    Args:
        description: The module's docstring, with its examples.
        prog: The program's name.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help="YAML file, or the name of a recipe that fakelens brings, see recipes/")
    return parser
