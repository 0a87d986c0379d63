"""How the verbs that Typer reads end early, and what they keep off the terminal."""

import typer

from fakelens.errors import UserError


def stopped(error: UserError) -> typer.Exit:
    """Say what is wrong and return the end of the run.

    Args:
        error: What a user can put right.
    """
    typer.echo(f"fakelens: {error}", err=True)
    return typer.Exit(2)


def silence_libraries() -> None:
    """Keep transformers' log lines and bars off the terminal: what went wrong is said by us, in one line."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
