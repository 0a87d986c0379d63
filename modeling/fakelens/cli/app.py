"""`fakelens PATH...` detects AI-generated images; `fakelens VERB ...` does all else.

Light: for `fakelens --help` and completion to come back at once, a verb's module is imported when the verb is called.
"""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from fakelens.cli.verb import Verb
from fakelens.cli.verbs import TYPER, VERBS
from fakelens.cli.verbs.detect import detect
from fakelens.resources import recipe_names

EPILOG = (
    "Example: fakelens holiday.jpg photos.zip downloads/ --json > verdicts.jsonl\n\n"
    "`fakelens VERB --help` shows a verb's options; a file that is called as a verb is ./VERB."
)

app = typer.Typer(add_completion=True, rich_markup_mode=None)


class Fakelens(TyperCommand):
    """`detect`, which needs no verb, with the verbs beside it: `fakelens --help` is its help and their list."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand the rest of the words to the verb's command if the first is one."""
        if args and args[0] in VERBS:
            return command_of(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the words were for; Ctrl-C ends it with one line."""
        try:
            return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("fakelens: stopped", err=True)
            raise typer.Exit(130) from None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, and the verbs below them."""
        super().format_options(ctx, formatter)
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.about) for name, verb in VERBS.items()])


class PassedOn(TyperCommand):
    """A verb that `fakelens.cli.verb` runs: it gets its words as they are.

    Args:
        name: The verb.
    """

    def __init__(self, name: str):
        super().__init__(name, add_help_option=False)

    @property
    def verb(self) -> Verb:
        """The verb, its module imported."""
        return import_module(f"fakelens.cli.verbs.{VERBS[str(self.name)].module}").VERB

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leave the words alone."""
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: Any) -> None:
        """Run the verb; say first what will take long, to whoever watches."""
        slow = VERBS[str(self.name)].slow
        if slow and sys.stderr.isatty() and not {"-h", "--help"} & set(ctx.args):
            typer.echo(f"fakelens {self.name}: {slow}", err=True)
        self.verb.run(ctx.args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the verb's options, and the recipe that comes first where one does; paths are the shell's."""
        from typer._click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            actions = self.verb.make_parser(None)._actions
            words = [(option, action.help) for action in actions for option in action.option_strings]
        else:
            words = [(name, None) for name in recipe_names() if self.verb.takes_keys and not ctx.args]
        return [CompletionItem(word, help=about) for word, about in words if word.startswith(incomplete)]


def command_of(name: str) -> Any:
    """Return a verb's command.

    Args:
        name: One of `VERBS`.
    """
    if name in TYPER:
        return typer.main.get_command(import_module(f"fakelens.cli.verbs.{TYPER[name].module}").app)
    return PassedOn(name)


app.command(cls=Fakelens, epilog=EPILOG)(detect)
