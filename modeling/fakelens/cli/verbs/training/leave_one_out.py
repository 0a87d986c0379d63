r"""Train a recipe once without each generator, and see how well it finds the one it never saw.

    fakelens leave-one-out custom_cnn --data path/to/folder --output runs/leave_one_out
    fakelens leave-one-out demo --data path/to/folder --generators sd-3.5 flux.1-dev \
        --max_steps 200 --output runs/leave_two_out

The recipe comes first; any other key of it can be given again as --key value (`fakelens train --keys` lists them).
It is trained with all generators, for reference, and without each in turn, and evaluated on a split of its own data
that names its generators (`model` column). OUTPUT gets leave_one_out.json, leave_one_out.md and leave_one_out.png.
Started again, it trains only what is not finished yet. What fails is recorded with its reason: the exit status is
then 1.
"""

import argparse
import sys
from pathlib import Path

from fakelens.cli.verb import Verb, recipe_verb_parser


def main(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run it, print its table, and return how many generators have no result."""
    from transformers.utils.logging import disable_progress_bar

    from fakelens.evaluation.ablation.leave_one_out import LeaveOneOut, leave_one_out, result_table

    disable_progress_bar()  # of files being written; the training's own bar stays
    asked = LeaveOneOut(args.recipe, overrides, args.split, args.generators, args.limit)
    output = Path(args.output)
    report = leave_one_out(asked, output, lambda line: print(f"leave-one-out: {line}", file=sys.stderr))
    print(result_table(report))
    print(f"The results are in {output}: start with {output / 'leave_one_out.md'}.")
    return sum("error" in one for one in report["results"])


def make_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; what it does not know are keys of the recipe."""
    parser = recipe_verb_parser(__doc__, prog)
    parser.add_argument("--output", required=True, help="folder for the runs, the table and the plot")
    parser.add_argument("--split", default="validation", help="split to evaluate on (default: validation)")
    parser.add_argument("--generators", nargs="+", help="leave out only these, each in turn (default: all)")
    parser.add_argument("--limit", type=int, help="evaluate on only this many rows from the start of the split")
    return parser


VERB = Verb("leave-one-out", main, make_parser, takes_keys=True)
