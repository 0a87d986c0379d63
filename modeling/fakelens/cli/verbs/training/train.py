"""Train a detector from a recipe.

    fakelens train custom_cnn --data path/to/folder
    fakelens train finetune --data path/to/folder
    accelerate launch scripts/train.py recipes/custom_cnn.yaml --data path/to/folder --num_train_epochs 5
    torchrun --nproc_per_node 8 scripts/train.py recipes/patch_lens_openfake.yaml --dry_run true

Any key of the recipe can be given again as --key value; inside phases as --phases.0.steps 10.
"""

import argparse
import json
import sys

from fakelens.cli.script import script
from fakelens.cli.verb import Verb, recipe_verb_parser


def main(args: argparse.Namespace, overrides: list[str]) -> None:
    """Run the recipe and say where the model is."""
    from transformers.utils.logging import disable_progress_bar

    from fakelens.data.sources.skips import SkipLog
    from fakelens.data.splits import protocols
    from fakelens.evaluation.plots.plots import learning_curves
    from fakelens.training.dry_run.dry_run import dry_run
    from fakelens.training.dry_run.report import print_report
    from fakelens.training.loop.fine_tuning import in_words
    from fakelens.training.loop.run import train
    from fakelens.training.recipe.recipe import load_recipe

    disable_progress_bar()  # of files being written; the training's own bar stays
    recipe = load_recipe(args.recipe, overrides)
    for note in recipe.notes:
        print(f"note: {note}", file=sys.stderr)
    if recipe.run.dry_run:
        found = dry_run(recipe)
        if recipe.run.process_index == 0:
            print_report(found)
        return
    model = train(recipe)
    run = model.parent
    if recipe.run.process_index == 0:
        if skipped := SkipLog(run / "skipped.jsonl").summary():
            print(skipped)
        learning_curves(run / "metrics.csv", run / "plots")
        if (run / "continual.md").exists():
            print((run / "continual.md").read_text(encoding="utf-8"))
        record = json.loads((model / "run.json").read_text(encoding="utf-8"))
        if "fine_tuning" in record:
            print(in_words(record))
        for note in record["calibration"]["notes"]:
            print(f"note: {note}", file=sys.stderr)
        print(f"The model is in {model}; its learning curves in {run / 'plots'}.")
        tests = protocols.get(recipe.data.protocol).tests if recipe.data.protocol else [(recipe.data.data, "test")]
        columns = f" --protocol {recipe.data.protocol}" if recipe.data.protocol else ""
        for number, (source, split) in enumerate(tests):
            report = run / ("report" if len(tests) == 1 else f"report-{number}")
            print(
                f"Next: fakelens evaluate --model {model} --data {source or recipe.data.data} "
                f"--split {split}{columns} --output {report}"
            )


class PrintKeys(argparse.Action):
    """Prints the recipe's keys, as `--help` prints the script's."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and stop."""
        from fakelens.training.recipe.recipe import recipe_parser

        with script("train"):
            recipe_parser(prog="recipe", add_help=False).print_help()
        parser.exit()


def make_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser: a recipe, then any of its keys."""
    parser = recipe_verb_parser(__doc__, prog)
    parser.add_argument("--keys", action=PrintKeys, nargs=0, help="print every key that a recipe may have, and stop")
    return parser


VERB = Verb("train", main, make_parser, takes_keys=True)
