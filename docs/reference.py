"""Pages that MkDocs takes from the code: every verb's help, every key of a recipe, every network of the zoo.

A hook of mkdocs.yml: the pages are made whenever the docs are built, and no copy is kept.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from functools import partial
from importlib import import_module
from inspect import cleandoc, formatannotation
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from transformers import TrainingArguments

from fakelens.cli.app import command_of
from fakelens.cli.verbs import TYPER, VERBS
from fakelens.data.transforms.augmentation import Augmentation
from fakelens.data.transforms.degradations import Degradations
from fakelens.training.attacks import AdversarialMix
from fakelens.training.recipe.phase import Phase
from fakelens.training.recipe.recipe import DataArguments, ModelArguments, RunArguments
from fakelens.zoo.facts import NETWORKS

WIDTH = 100  # characters, of a help text


def help_text(verb: str) -> str:
    """Return what `fakelens VERB --help` prints.

    Args:
        verb: One of `VERBS`.
    """
    name = f"fakelens {verb}"
    if verb in TYPER:
        command = typer.main.get_command(import_module(f"fakelens.cli.verbs.{TYPER[verb].module}").app)
        with command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH) as context:
            return command.get_help(context)
    parser = command_of(verb).verb.make_parser(name)
    parser.formatter_class = partial(parser.formatter_class, width=WIDTH)
    return parser.format_help()


def verbs_page() -> str:
    """Return the page of all verbs."""
    parts = [
        "# Verbs",
        "`fakelens VERB --help` prints the same. `fakelens PATH...` without a verb is `fakelens detect PATH...`. "
        "`fakelens --version` prints the version, `fakelens --install-completion` installs completion for your shell.",
        "| verb | |\n|---|---|",
    ]
    parts[-1] += "".join(f"\n| [`{name}`](#fakelens-{name}) | {entry.about} |" for name, entry in VERBS.items())
    parts += [f"## fakelens {name}\n\n```text\n{help_text(name).strip()}\n```" for name in VERBS]
    return "\n\n".join(parts) + "\n"


def default_of(field: Field) -> str:
    """Return a key's default, or the function that finds it on a machine."""
    if field.default_factory is not MISSING:
        factory = field.default_factory
        if factory in (dict, list) or factory.__name__ == "<lambda>":
            return _code(factory())
        return _code(f"{factory.__module__}.{factory.__qualname__}()")
    return "" if field.default in (MISSING, None) else _code(getattr(field.default, "value", field.default))


def keys_table(kept: Sequence[Field], about: dict[str, str]) -> str:
    """Return a table of keys.

    Args:
        kept: Fields of a dataclass.
        about: What each is, by its name.
    """
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    for field in kept:
        kind = re.sub(r"\b(?:\w+\.)+(?=\w)", "", formatannotation(field.type))
        cells = (f"`{field.name}`", _code(kind), default_of(field), _escaped(about.get(field.name, "")))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def with_helps(kept: Sequence[Field]) -> str:
    """Return a table of keys with what the recipe's parser says of them, its first paragraph."""
    said = {field.name: str(field.metadata.get("help", "")) for field in kept}
    return keys_table(kept, {name: text.split("\n\n")[0].replace("%%", "%") for name, text in said.items()})


def documented(kind: type) -> dict[str, str]:
    """Return what a dataclass's docstring says of each of its fields."""
    said = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", cleandoc(kind.__doc__ or ""), flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in said}


def steps_list(method: Callable[..., Any]) -> str:
    """Return the list of steps in the docstring of a `from_list`, a line each."""
    bullets = re.findall(r"^ *- (`.+(?:\n +[^-\s].*)*?)(?=\n *-|\n\n)", method.__doc__ or "", flags=re.MULTILINE)
    return "\n".join(f"* {' '.join(bullet.split())}" for bullet in bullets)


def recipe_page() -> str:
    """Return the page of all keys of a recipe."""
    inherited = {field.name for field in fields(TrainingArguments)} - set(RunArguments.__annotations__)
    run = [field for field in fields(RunArguments) if field.init]
    own = [field for field in run if field.name not in inherited]
    rest = [field for field in run if field.name in inherited]
    sections = (
        ("Network", "", with_helps(fields(ModelArguments))),
        ("Data", "", with_helps(fields(DataArguments))),
        ("Augmentation", AUGMENTATION, steps_list(Augmentation.from_list)),
        ("Degradations", DEGRADATION, steps_list(Degradations.from_list)),
        ("Training", "", with_helps(own)),
        ("Phases", PHASES, keys_table(fields(Phase), documented(Phase))),
        ("Adversarial training", ADVERSARIAL, keys_table(fields(AdversarialMix), documented(AdversarialMix))),
        ("From transformers", INHERITED, with_helps(rest)),
    )
    body = "\n\n".join("\n\n".join(filter(None, [f"## {title}", text, table])) for title, text, table in sections)
    return f"# Recipe keys\n\n{RECIPE}\n\n{body}\n"


RECIPE = (
    "A recipe is a YAML file with these keys. Each can be given again on the command line: `--learning_rate 1e-4`, "
    "and inside lists `--phases.0.steps 10`. A key that is not here is refused, and the nearest is suggested."
)
AUGMENTATION = (
    "Steps of `augmentation`, done in order, with a probability `p` each (0.5 for flips, else 1): "
    "`augmentation: [{name: rotation, degrees: 15, p: 0.5}]`. Defaults in parentheses."
)
DEGRADATION = (
    "Steps of `degradations`, done in order after the augmentation, with a probability `p` each (1): "
    "`degradations: [{name: jpeg, quality: [30, 90], p: 0.5}]`. A range draws a number for each image. Defaults in "
    "parentheses."
)
PHASES = "Of each entry of `phases`. A key without a value is taken from the recipe's own."
ADVERSARIAL = "Of `adversarial` in a phase."
INHERITED = "Keys of transformers' `TrainingArguments`, with its defaults and its words."


def networks_page() -> str:
    """Return the page of the zoo's networks."""
    rows = ["| name | class | parameters | class of | pretrained backbone (ImageNet) |", "|---|---|---|---|---|"]
    for network in NETWORKS:
        code = "transformers" if network.native else "fakelens"
        weights = f"`{network.pretrained}`" if network.pretrained else "none"
        rows.append(f"| `{network.name}` | `{network.architecture}` | {network.parameters:,} | {code} | {weights} |")
    return f"# Networks\n\n{ABOUT_NETWORKS}\n\n" + "\n".join(rows) + "\n"


ABOUT_NETWORKS = (
    "`build_detector(NAME)` builds any of these, and the recipe key `architecture` takes the name. `timm/NAME` builds "
    "any network of timm, and `ensemble` joins several. Labels are always `{0: 'real', 1: 'fake'}`. A class of "
    "fakelens's loads in transformers after `import fakelens`, or with `trust_remote_code=True`."
)


def _code(value: object) -> str:
    return f"`{value}`" if str(value) else '`""`'  # Python-Markdown parts no row at a | between backticks


def _escaped(text: str) -> str:
    return re.sub(r"([|<>\[\]*_])", r"\\\1", " ".join(text.split()).replace("`", "'"))


PAGES = {
    "reference/verbs.md": verbs_page,
    "reference/recipe.md": recipe_page,
    "reference/networks.md": networks_page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those of the folder; MkDocs calls it."""
    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    return files
