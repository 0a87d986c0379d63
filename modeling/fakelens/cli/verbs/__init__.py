"""The verbs of the `fakelens` command, a module each, imported when it is called for.

To add one, write a module with a `VERB` and name it below.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """A verb, as far as the list of verbs needs to know it.

    Attributes:
        module: Below this package, with a `VERB`; those of `TYPER` have an `app` instead.
        about: What it does, for the list.
        slow: What takes long in it, which is said on a terminal as soon as it is called; "" if nothing does.
    """

    module: str
    about: str
    slow: str = ""


# Read by Typer.
TYPER = {
    "detect": Entry("detect", "tell photographs from AI-generated images"),
    "models": Entry("models", "list the zoo, and the models found here with what was measured of them"),
}
# Those, and what `fakelens.cli.verb` runs.
VERBS = TYPER | {
    "score": Entry(
        "evaluation.score",
        "score a data set that nobody labelled, however large, into parquet",
        "loading the model, then scoring every image; `--limit N` reads fewer",
    ),
    "train": Entry(
        "training.train",
        "train a detector from a recipe, or fine-tune one",
        "reading data, then training; `--dry_run true` tells how long a run will take",
    ),
    "evaluate": Entry(
        "evaluation.evaluate",
        "numbers, plots and every score of models on labelled data",
        "loading the models, then scoring every image in every view; `--limit N` reads fewer",
    ),
    "compare": Entry(
        "evaluation.compare",
        "several detectors on one data set, in one table",
        "loading the models, then scoring every image with each; `--limit N` reads fewer",
    ),
    "predict": Entry(
        "evaluation.predict",
        "score a folder into a challenge's submission or a CSV",
        "loading the model, then scoring every image",
    ),
    "prepare": Entry(
        "data.prepare",
        "make splits that share no image",
        "reading every image twice, to find those that are alike and to copy them",
    ),
    "audit": Entry(
        "data.audit",
        "what file facts alone give away in a data set",
        "reading every file; `--limit N` reads fewer",
    ),
    "reconstruct": Entry(
        "data.reconstruct",
        "make content-aligned fakes of real images",
        "sending every image through an autoencoder",
    ),
    "calibrate": Entry(
        "training.calibrate",
        "fit a model's thresholds to your own images",
        "loading the model, then scoring every image of the split",
    ),
    "ablate": Entry(
        "training.ablate",
        "train a recipe at several values of one key",
        "a training run and an evaluation for each value",
    ),
    "leave-one-out": Entry(
        "training.leave_one_out",
        "train a recipe without each generator in turn",
        "a training run and an evaluation for each generator",
    ),
    "export": Entry(
        "publishing.export",
        "write a model as ONNX",
        "exporting, then checking the export against the model on every sample image",
    ),
    "publish": Entry(
        "publishing.publish",
        "push a model or the Space to the Hub, or write what would be pushed",
        "checking weights, then sending them",
    ),
    "space": Entry(
        "publishing.space",
        "serve the web app on this machine",
        "loading the models",
    ),
    "demo": Entry(
        "publishing.demo",
        "sample, training, report and publication at small size, offline",
        "a small training run, its report and its publication",
    ),
}
