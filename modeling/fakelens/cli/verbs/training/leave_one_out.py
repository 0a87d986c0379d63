r"""Train a recipe without some of its data, and see how well it does on what it never saw.

    fakelens leave-one-out custom_cnn --data path/to/folder --output runs/leave_one_out
    fakelens leave-one-out demo --data path/to/folder --generators sd-3.5 flux.1-dev \
        --max_steps 200 --output runs/leave_two_out
    fakelens leave-one-out patch_lens --data path/to/folder --leave_out artbench 'camera-*#1/3' \
        --leave_out gpt-image-1 nano-banana 'camera-*#2/3' --also custom_cnn --output runs/left_out

The recipe comes first; any other key of it can be given again as --key value (`fakelens train --keys` lists them).

Without --leave_out it is trained with all generators, for reference, and without each in turn, and evaluated on a
split of its own data that names its generators (`model` column). OUTPUT gets leave_one_out.json, leave_one_out.md and
leave_one_out.png.

Each --leave_out names sources (`source` column) and generators that are left out together: NAME, PATTERN with * and
?, or PATTERN#K/N for the K-th of N parts of what it matches. The recipe, and those named by --also, are trained once
without each such group and scored on what was left out of the training and validation split. The macro AUROC over
that chooses. OUTPUT gets left_out.json and left_out.md.

Started again, it trains only what is not finished yet. What fails is recorded with its reason: the exit status is
then 1.
"""

import argparse
import sys
from pathlib import Path

from fakelens.cli.verb import Verb, recipe_verb_parser


def main(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run it, print its table, and return how many trainings have no result."""
    from transformers.utils.logging import disable_progress_bar

    from fakelens.errors import UserError

    disable_progress_bar()  # of files being written; the training's own bar stays
    if args.leave_out:
        if args.split or args.generators or args.limit:
            raise UserError(
                "--split, --generators and --limit go without --leave_out, which says itself what is left out."
            )
        return _groups(args, overrides)
    if args.also or args.per_collection or args.at_least:
        raise UserError("--also, --per_collection and --at_least go with --leave_out.")
    return _generators(args, overrides)


def _generators(args: argparse.Namespace, overrides: list[str]) -> int:
    from fakelens.evaluation.ablation.leave_one_out import LeaveOneOut, leave_one_out, result_table

    asked = LeaveOneOut(args.recipe, overrides, args.split or "validation", args.generators, args.limit)
    output = Path(args.output)
    report = leave_one_out(asked, output, _say)
    print(result_table(report))
    print(f"The results are in {output}: start with {output / 'leave_one_out.md'}.")
    return sum("error" in one for one in report["results"])


def _groups(args: argparse.Namespace, overrides: list[str]) -> int:
    from fakelens.evaluation.ablation.leave_groups_out import (
        AT_LEAST,
        PER_COLLECTION,
        LeaveGroupsOut,
        leave_groups_out,
    )
    from fakelens.evaluation.ablation.left_out_tables import left_out_page

    at_least = AT_LEAST if args.at_least is None else args.at_least
    per_collection = max(PER_COLLECTION, at_least) if args.per_collection is None else args.per_collection
    asked = LeaveGroupsOut([args.recipe, *args.also], args.leave_out, overrides, per_collection, at_least)
    output = Path(args.output)
    report = leave_groups_out(asked, output, _say)
    print(left_out_page(report))
    print(f"The results are in {output}: start with {output / 'left_out.md'}.")
    return sum("error" in one for one in report["results"])


def _say(line: str) -> None:
    print(f"leave-one-out: {line}", file=sys.stderr)


def make_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; what it does not know are keys of the recipe."""
    parser = recipe_verb_parser(__doc__, prog)
    parser.add_argument("--output", required=True, help="folder for the runs and the tables")
    parser.add_argument("--split", help="split to evaluate on (default: validation)")
    parser.add_argument("--generators", nargs="+", help="leave out only these, each in turn (default: all)")
    parser.add_argument("--limit", type=int, help="evaluate on only this many rows from the start of the split")
    parser.add_argument(
        "--leave_out", nargs="+", action="append", default=[], metavar="NAME",
        help="sources and generators to leave out together; again for the next training",
    )  # fmt: skip
    parser.add_argument("--also", nargs="+", default=[], metavar="RECIPE", help="recipes to compare, on the same data")
    parser.add_argument("--per_collection", type=int, help="score at most this many images of a collection (200)")
    parser.add_argument("--at_least", type=int, help="score no collection with fewer images than this (20)")
    return parser


VERB = Verb("leave-one-out", main, make_parser, takes_keys=True)
