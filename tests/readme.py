"""README.md and the pages of docs/ as a program sees them: their code, their commands, and what is wrong with them."""

import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import typer
import yaml
from accelerate.commands.launch import launch_command_parser
from markdown_it import MarkdownIt
from torch.distributed.run import get_args_parser

from fakelens.cli.app import app, command_of
from fakelens.cli.verbs import TYPER, VERBS
from fakelens.errors import UserError
from fakelens.training.recipe.phase import Phase
from fakelens.training.recipe.recipe import load_recipe, recipe_parser

ROOT = Path(__file__).parents[1]
# Paths in this repo.
OURS = r"(?:benchmarks|docs|model_cards|modeling|notebooks|recipes|scripts|space|tests)/[\w./-]*[\w/]"
PROGRAMS = ("accelerate", "fakelens", "make", "pip", "python", "torchrun")


def contents(entries: list | None = None) -> list[str]:
    """Return the pages of the docs in the order of their contents, those that are made from the code among them."""
    if entries is None:
        entries = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    values = [value for entry in entries for value in ([entry] if isinstance(entry, str) else entry.values())]
    return [page for value in values for page in ([value] if isinstance(value, str) else contents(value))]


def pages() -> dict[str, str]:
    """Return the text of README.md and of the pages of docs/ by their paths, in the order in which one reads them."""
    paths = ["README.md", *(f"docs/{name}" for name in contents() if (ROOT / "docs" / name).is_file())]
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        text: As it stands there, on one line.
        words: Without settings of the environment, comments and where its output goes.
        output: The file that its output goes to, "" for none.
    """

    text: str
    words: tuple[str, ...]
    output: str = ""

    @classmethod
    def read(cls, line: str) -> "Command":
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        output = ""
        if ">" in words:
            at = words.index(">")
            output = words[at + 1]
            words = words[:at]
        return cls(line, tuple(words), output)

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def file(self) -> str:
        """The Python file that is run, "" for none."""
        return next((word for word in self.words if word.endswith(".py")), "")

    @property
    def launcher(self) -> tuple[str, ...]:
        """What stands before the file."""
        return self.words[: self.words.index(self.file)] if self.file else ()

    @property
    def verb(self) -> str:
        """The verb of fakelens that is run, by its own name or by its script, "" for none."""
        if self.program == "fakelens":
            return self.words[1] if self.words[1] in VERBS else ""
        name = Path(self.file).stem.replace("_", "-")
        return name if self.file.startswith("scripts/") and name in VERBS else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What stands after the file, the program, or its verb."""
        if self.file:
            return self.words[self.words.index(self.file) + 1 :]
        return self.words[2 if self.verb else 1 :]


def parse(text: str) -> list:
    return MarkdownIt().enable("table").parse(text)


def python_blocks(text: str) -> list[str]:
    """Return the blocks of Python that run as they stand; tests/test_api.py runs sessions."""
    found = [token.content for token in parse(text) if token.type == "fence" and token.info == "python"]
    return [block for block in found if not block.startswith(">>>")]


def commands(text: str) -> list[Command]:
    """Return the commands of ```bash blocks and of indented ones; one of those that starts with { is an output."""
    blocks = [
        token.content
        for token in parse(text)
        if (token.type == "fence" and token.info in ("bash", "sh", "console"))
        or (token.type == "code_block" and not token.content.startswith("{"))
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [Command.read(" ".join(line.split())) for line in lines if line.strip() and not line.startswith("#")]


def spans(text: str) -> list[str]:
    """Return what stands between backticks amid the text."""
    return [c.content for token in parse(text) for c in token.children or [] if c.type == "code_inline"]


@cache
def options_of(program: str) -> frozenset[str]:
    """Return every option of `fakelens`, `torchrun`, `accelerate`, the recipes ("recipe") or a Python file's help."""
    if program == "fakelens":
        return frozenset(option for p in typer.main.get_command(app).params for option in p.opts) | {"--help"}
    if program in VERBS:
        if program in TYPER:
            return frozenset(option for p in command_of(program).params for option in p.opts) | {"--help"}
        actions = command_of(program).verb.make_parser(None)._actions
        return frozenset(option for action in actions for option in action.option_strings)
    parsers = {"torchrun": get_args_parser, "accelerate": launch_command_parser, "recipe": recipe_parser}
    if program in parsers:
        return frozenset(option for action in parsers[program]()._actions for option in action.option_strings)
    said, arguments, path = io.StringIO(), sys.argv, list(sys.path)
    sys.argv = [str(ROOT / program), "--help"]
    sys.path.insert(0, str((ROOT / program).parent))  # as Python does for a program
    try:
        with redirect_stdout(said), suppress(SystemExit):
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.argv, sys.path[:] = arguments, path
    return frozenset(re.findall(r"(?<![\w-])--[\w-]+", said.getvalue().partition("options:")[2]))


def is_key(option: str) -> bool:
    """Tell whether an option is a key of recipes, `--learning_rate` or `--phases.0.steps`."""
    if match := re.fullmatch(r"--phases\.\d+\.(\w+)(\.\w+)*", option):
        return match[1] in {field.name for field in fields(Phase)}
    return option in options_of("recipe")


def named_options(words: tuple[str, ...]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def faults_of(command: Command) -> Iterator[str]:
    """Yield what a command names that is not there."""
    if not command.words or command.program not in PROGRAMS:
        yield f"{command.text}: no program that this test knows"
        return
    if command.program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        yield from (f"{command.text}: no target {word}" for word in command.words[1:] if word not in targets)
        return
    if command.program in ("python", "torchrun", "accelerate"):
        if not (ROOT / command.file).is_file():
            yield f"{command.text}: no file {command.file!r}"
            return
        unknown = [o for o in named_options(command.launcher) if o not in options_of(command.program)]
        yield from (f"{command.text}: {command.program} has no {option}" for option in unknown)
    if command.program == "pip":
        return
    given = named_options(command.arguments)
    runs = command.verb or command.file or command.program
    known = options_of(runs) if given else frozenset()
    takes_keys = command.verb in ("train", "ablate", "leave-one-out")
    for option in given:
        if option not in known and not (takes_keys and is_key(option)):
            yield f"{command.text}: {runs} has no {option}"
    if command.verb == "train" and command.arguments and not command.arguments[0].startswith(("-", "RECIPE")):
        try:
            load_recipe(command.arguments[0], list(command.arguments[1:]))
        except UserError as error:
            yield f"{command.text}: {error}"


def faults(text: str) -> list[str]:
    """Return everything that a page names and that is not there: programs, targets, files, options, recipe keys."""
    found = [fault for command in commands(text) for fault in faults_of(command)]
    files = sorted({path for path in re.findall(rf"(?<![\w./-]){OURS}", text) if not (ROOT / path).exists()})
    found += [f"no file {path}" for path in files]
    scripts = ("scripts/build_browser_space.py", "scripts/zoo.py", "benchmarks/reproduce/reproduce.py")
    programs = ("recipe", "fakelens", "torchrun", "accelerate", *VERBS, *scripts)
    for span in spans(text):
        if span.startswith("--"):
            option = span.split()[0]
            if not is_key(option) and not any(option in options_of(program) for program in programs):
                found.append(f"`{span}`: no option of anything")
        elif re.match(rf"(?:{'|'.join(PROGRAMS)}) [a-z./-]|scripts/\w+\.py", span):
            found += faults_of(Command.read(f"python {span}" if span.startswith("scripts/") else span))
        elif re.fullmatch(r"s\d_\w+", span) and not (ROOT / "recipes" / f"{span}.yaml").is_file():
            found.append(f"`{span}`: no recipe")
    return found
