"""Run recipes one after the other, and note in each run's folder which images every process trained on.

Started by torchrun from `test_distributed.py`; a line of `seen-RANK.jsonl` holds the names of one batch's images.
"""

import json
import sys
import zlib
from pathlib import Path

from fakelens.cli.script import script
from fakelens.training.loop import phases
from fakelens.training.loop.run import train
from fakelens.training.loop.trainer import DetectorTrainer
from fakelens.training.recipe.recipe import load_recipe


def name_of(pixels):
    """Name an image by its pixels."""
    return zlib.crc32(pixels.numpy().tobytes())


class NotingTrainer(DetectorTrainer):
    def training_step(self, model, inputs, *args, **kwargs):
        names = [name_of(pixels) for pixels in inputs["pixel_values"]]
        path = Path(self.args.output_dir).parents[1] / f"seen-{self.args.process_index}.jsonl"
        with path.open("a") as file:
            file.write(json.dumps(names) + "\n")
        return super().training_step(model, inputs, *args, **kwargs)


def main(recipes):
    phases.DetectorTrainer = NotingTrainer
    for path in recipes:
        train(load_recipe(path))


if __name__ == "__main__":
    with script("train_and_note"):  # which leaves the processes that were launched together
        main(sys.argv[1:])
