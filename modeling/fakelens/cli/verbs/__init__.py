"""The verbs of the `fakelens` command, a module each, imported when it is called for.

To add one, write a module with a `VERB` and name it below.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """A verb, as far as the list of verbs needs to know it.

    Attributes:
        module: Below this package, with a `VERB`; those of `TYPER` have an `app` instead.
        about: What it does, for the list.
    """

    module: str
    about: str


# Read by Typer.
TYPER = {
    "detect": Entry("detect", "tell photographs from AI-generated images"),
    "models": Entry("models", "list the zoo, and the models found here with what was measured of them"),
}
# Those, and what `fakelens.cli.verb` runs.
VERBS = TYPER | {
    "score": Entry("evaluation.score", "score a data set that nobody labelled, however large, into parquet"),
    "train": Entry("training.train", "train a detector from a recipe, or fine-tune one"),
    "evaluate": Entry("evaluation.evaluate", "numbers, plots and every score of models on labelled data"),
    "compare": Entry("evaluation.compare", "several detectors on one data set, in one table"),
    "predict": Entry("evaluation.predict", "score a folder into a challenge's submission or a CSV"),
    "prepare": Entry("data.prepare", "make splits that share no image"),
    "audit": Entry("data.audit", "what file facts alone give away in a data set"),
    "reconstruct": Entry("data.reconstruct", "make content-aligned fakes of real images"),
    "calibrate": Entry("training.calibrate", "fit a model's thresholds to your own images"),
    "ablate": Entry("training.ablate", "train a recipe at several values of one key"),
    "leave-one-out": Entry("training.leave_one_out", "train a recipe without each generator in turn"),
    "export": Entry("publishing.export", "write a model as ONNX"),
    "publish": Entry("publishing.publish", "push a model or the Space to the Hub, or write what would be pushed"),
    "space": Entry("publishing.space", "serve the web app on this machine"),
    "demo": Entry("publishing.demo", "sample, training, report and publication at small size, offline"),
}
