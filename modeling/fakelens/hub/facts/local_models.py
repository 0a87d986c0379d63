"""The models found on this machine, with what their own reports say of them.

No number stands here: sizes are counted, scores are read from the reports that `fakelens evaluate` wrote about these
very weights, or from a published model's card. What neither holds was not measured.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard

from fakelens.data.splits.protocols import among
from fakelens.errors import UserError
from fakelens.hub.facts.checkpoint import Checkpoint, read_checkpoint
from fakelens.hub.facts.report import REPORT, Interval, Report, read_report
from fakelens.hub.facts.results import HEADLINE, HUB_METRICS
from fakelens.zoo.facts import is_native
from fakelens.zoo.shipped import SHIPPED, SHIPPED_FOLDER, model_folder

RUNS = Path("runs")
MEGABYTE = 10**6


@dataclass(frozen=True)
class Score:
    """What one evaluation says of a model on one split.

    Attributes:
        data: The data set.
        split: Its split.
        auroc: By view ("raw", "normalised", ...); None where it is undefined.
        intervals: The 95 % interval of each; empty where the source states none.
        held_out: The generators in this split that were held out of its training data; None if nothing says which.
        generators: How many generators the split has; None if the source does not say.
        source: The report, or the card, that says so.
    """

    data: str
    split: str
    auroc: dict[str, float | None]
    intervals: dict[str, Interval]
    held_out: list[str] | None
    generators: int | None
    source: str


@dataclass(frozen=True)
class Trained:
    """A model in a folder.

    Attributes:
        path: The folder; of the shipped model, its name.
        network: The zoo's name for its architecture; None if its record does not say.
        architecture: Its class.
        parameters: Their number; None if its record does not say.
        megabytes: Of its weights' files, in millions of bytes.
        native: Whether its class is transformers' own, see `fakelens.zoo.facts.Network`.
        folder: Where it lies, which transformers' `pipeline` takes as a model.
        scores: What was measured of it; empty if nothing was.
        note: Why not, where there is more to say than that.
    """

    path: str
    network: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    megabytes: float | None = None
    native: bool | None = None
    folder: str | None = None
    scores: tuple[Score, ...] = ()
    note: str | None = None


def find_models(folders: Sequence[Path] = ()) -> list[Path]:
    """Find model folders: the shipped model, `$FAKELENS_MODEL`, those of `runs/*/model`, and those in further folders.

    Args:
        folders: Each a model, a run with its `model`, or a folder of runs.

    Returns:
        The folders, each once.

    Raises:
        UserError: If one of `folders` is none, or has no model.
    """
    chosen = os.environ.get("FAKELENS_MODEL") or SHIPPED
    found = [model_folder(SHIPPED), model_folder(chosen), *sorted(RUNS.glob("*/model"))]
    for folder in folders:
        inside = [p for p in (folder, folder / "model", *sorted(folder.glob("*/model"))) if _is_model(p)]
        if not inside:
            raise UserError(f"No model in {folder}. Name a model's folder, a run's, or a folder of runs.")
        found += inside
    models: dict[Path, Path] = {}
    for path in filter(_is_model, found):
        models.setdefault(path.resolve(), path)
    return list(models.values())


def trained(folder: Path) -> Trained:
    """Say what a model's folder, the reports beside it and its card say of it.

    Args:
        folder: The model's folder.

    Returns:
        Its facts, and its scores if there are any.
    """
    path = SHIPPED if folder == SHIPPED_FOLDER else str(folder)
    try:
        checkpoint = read_checkpoint(folder)
    except UserError as error:
        return Trained(path, folder=str(folder), note=str(error))
    scores, note = _reported(checkpoint)
    parameters = checkpoint.run.get("parameters")
    return Trained(
        path=path,
        network=checkpoint.run.get("recipe", {}).get("architecture"),
        architecture=checkpoint.architecture,
        parameters=parameters,
        megabytes=sum(p.stat().st_size for p in folder.glob("*.safetensors")) / MEGABYTE,
        native=is_native(checkpoint.architecture),
        folder=str(folder),
        scores=tuple(scores or _stated_in_card(folder)),
        note=note,
    )


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _reported(checkpoint: Checkpoint) -> tuple[list[Score], str | None]:
    """Read every report about these weights in the model's run or among the runs; say why if there is none."""
    run = checkpoint.folder.resolve().parent
    own = [*run.glob(REPORT), *sorted(run.glob(f"*/{REPORT}"))]
    scores: list[Score] = []
    note = None
    for path in [*own, *sorted(set(run.parent.glob(f"*/{REPORT}")) - set(own))]:
        try:
            scores += _scores(read_report(path.parent, checkpoint), path)
        except UserError as error:
            note = str(error) if path in own else note  # of others it is no news that they are about other models
    return scores, None if scores else note


def _scores(report: Report, path: Path) -> Iterator[Score]:
    for split, views in report.results.items():
        generators = [name for name, numbers in next(iter(views.values())).per_generator.items() if numbers["fake"]]
        held_out = report.unseen_generators
        yield Score(
            data=":".join(filter(None, [report.origin.hub_id, report.origin.config])) or report.origin.public,
            split=split,
            auroc={view: result.overall[HEADLINE] for view, result in views.items()},
            intervals={view: result.intervals[HEADLINE] for view, result in views.items()},
            held_out=None if held_out is None else [name for name in generators if among(name, held_out)],
            generators=len(generators),
            source=str(path),
        )


def _stated_in_card(folder: Path) -> Iterable[Score]:
    """Read what a published model's card states in its `model-index`; nothing where there is no card of ours."""
    path = folder / "README.md"
    try:
        results = ModelCard.load(path, ignore_metadata_errors=True).data.eval_results if path.is_file() else None
    except (ValueError, OSError):
        return []
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for result in results or []:
        view = (result.metric_name or "").rpartition(", ")[2].removesuffix(" view")
        if result.metric_type == HUB_METRICS[HEADLINE]:
            data = ":".join(filter(None, [result.dataset_type, result.dataset_config]))
            found.setdefault((data, result.dataset_split or ""), {})[view] = result.metric_value
    return [Score(data, split, auroc, {}, None, None, str(path)) for (data, split), auroc in found.items()]
