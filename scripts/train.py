"""Train a detector from a recipe.

    python scripts/train.py recipes/custom_cnn.yaml
    accelerate launch scripts/train.py recipes/custom_cnn.yaml --data path/to/folder --num_train_epochs 5
    torchrun --nproc_per_node 8 scripts/train.py recipes/patch_lens_openfake.yaml --dry_run true

Any key of the recipe can be given again as --key value; inside phases as --phases.0.steps 10.
"""

import argparse
import sys

from fakelens.cli.script import script


def main(recipe_path: str, overrides: list[str]) -> None:
    """Run the recipe and say where the model is."""
    from transformers.utils.logging import disable_progress_bar

    from fakelens.data.sources.skips import SkipLog
    from fakelens.data.splits import protocols
    from fakelens.evaluation.plots.plots import learning_curves
    from fakelens.training.dry_run.dry_run import dry_run
    from fakelens.training.dry_run.report import print_report
    from fakelens.training.loop.run import train
    from fakelens.training.recipe.recipe import load_recipe

    disable_progress_bar()  # of files being written; the training's own bar stays
    recipe = load_recipe(recipe_path, overrides)
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
        print(f"The model is in {model}; its learning curves in {run / 'plots'}.")
        tests = protocols.get(recipe.data.protocol).tests if recipe.data.protocol else [(recipe.data.data, "test")]
        columns = f" --protocol {recipe.data.protocol}" if recipe.data.protocol else ""
        for number, (source, split) in enumerate(tests):
            report = run / ("report" if len(tests) == 1 else f"report-{number}")
            print(
                f"Next: python scripts/evaluate.py --model {model} --data {source or recipe.data.data} "
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


def make_parser() -> argparse.ArgumentParser:
    """Return the parser: a recipe, then any of its keys."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("recipe", help="YAML file, see recipes/")
    parser.add_argument("--keys", action=PrintKeys, nargs=0, help="print every key that a recipe may have, and stop")
    return parser


if __name__ == "__main__":
    arguments, rest = make_parser().parse_known_args()
    with script("train"):
        main(arguments.recipe, rest)
