"""Serve the web app on this machine: images in, verdicts out, and what speaks for them.

    fakelens space
    fakelens space --model runs/custom_cnn/model

Needs the extra: pip install 'fakelens[space]'. `fakelens publish --space true` puts the same app on the Hub.
"""

import os
import runpy
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec

from fakelens.cli.verb import dataclass_verb


@dataclass
class SpaceArguments:
    """What to serve."""

    model: str | None = field(
        default=None,
        metadata={"help": "Folder or Hub repo of the detector. Default: $FAKELENS_MODEL, patch_lens."},
    )


def main(args: SpaceArguments) -> None:
    """Run the app until it is stopped."""
    from fakelens.errors import UserError
    from fakelens.resources import resource

    if find_spec("gradio") is None:
        raise UserError("gradio is not installed, and the web app needs it: pip install 'fakelens[space]'.")
    if args.model:
        os.environ["FAKELENS_MODEL"] = args.model
    folder = resource("space")
    sys.path.insert(0, str(folder))  # where the app finds its pages
    runpy.run_path(str(folder / "app.py"), run_name="__main__")


VERB = dataclass_verb("space", main, SpaceArguments, __doc__)
