r"""Train a recipe with one of its keys at several values, and compare the results.

    fakelens ablate s4_resnet_se --key phases.1.adversarial.fraction --values 0 0.1 0.3 0.5 1 \
        --data path/to/folder --attack fgsm --eps 0 0.05 --output runs/ablation
    fakelens ablate demo --key learning_rate --values 1e-4 1e-3 1e-2 --output runs/rates

The recipe comes first; any other key of it can be given again as --key value (`fakelens train --keys` lists them).
Values are read as YAML. Each is trained in OUTPUT/VALUE and evaluated on a split of the recipe's data; OUTPUT gets
ablation.json, ablation.csv, ablation.md and ablation.png. Started again, it trains only what is not finished yet. A
value that fails is recorded with its reason, and the others still run: the exit status is then 1.
"""

import argparse
import sys
from pathlib import Path

from fakelens.cli.verb import Verb, recipe_verb_parser


def main(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the ablation, print its table, and return how many values failed."""
    from transformers.utils.logging import disable_progress_bar

    from fakelens.errors import UserError
    from fakelens.evaluation.ablation.ablation import Ablation, ablate
    from fakelens.evaluation.ablation.tables import result_table
    from fakelens.evaluation.attacks.adversarial import STRENGTHS

    disable_progress_bar()  # of files being written; the training's own bar stays
    if not args.attack and (args.eps is not None or args.attack_limit is not None):
        raise UserError("--eps and --attack_limit belong to --attack fgsm or --attack pgd.")
    ablation = Ablation(
        recipe=args.recipe,
        key=args.key,
        values=args.values,
        overrides=overrides,
        split=args.split,
        attacks=args.attack,
        strengths=STRENGTHS if args.eps is None else args.eps,
        attack_limit=args.attack_limit,
        limit=args.limit,
    )
    report = ablate(ablation, Path(args.output), lambda line: print(f"ablate: {line}", file=sys.stderr))
    print(result_table(report))
    print(f"The ablation is in {args.output}: start with {Path(args.output) / 'ablation.md'}.")
    return sum(one["status"] == "failed" for one in report["results"])


def make_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; what it does not know are keys of the recipe."""
    parser = recipe_verb_parser(__doc__, prog)
    parser.add_argument("--key", required=True, help="the key to vary; inside phases as phases.1.adversarial.fraction")
    parser.add_argument("--values", required=True, nargs="+", help="its values, as YAML")
    parser.add_argument("--output", required=True, help="folder for the runs, the table and the plot")
    parser.add_argument("--split", default="test", help="split of the recipe's data to evaluate on (default: test)")
    parser.add_argument("--limit", type=int, help="evaluate on only this many rows from the start of the split")
    parser.add_argument("--attack", nargs="+", default=[], help="fgsm, pgd: also evaluate under attack")
    parser.add_argument("--eps", nargs="+", type=float, help="strengths of the attack (default: 0 0.02 0.05 0.08)")
    parser.add_argument("--attack_limit", type=int, help="attack only this many images, half of them of each class")
    return parser


VERB = Verb("ablate", main, make_parser, takes_keys=True)
