"""Models + data -> a report: the whole evaluation in order."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial as bind
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from fakelens.data.audit.audit import audit_source
from fakelens.data.sources.label_rules import LabelRules
from fakelens.data.sources.opening import ReadOptions, Source, open_source
from fakelens.data.transforms.views import check_views
from fakelens.errors import UserError
from fakelens.evaluation.analysis.attribution import UNKNOWN_BELOW, check_unknown_below
from fakelens.evaluation.attacks.adversarial import STRENGTHS, attack_table, check_attack, pixel_space
from fakelens.evaluation.attacks.attack_panels import attack_panel
from fakelens.evaluation.attacks.scenarios import scenarios
from fakelens.evaluation.report.folder import check_output, write_report
from fakelens.evaluation.report.gallery import EACH, build_gallery
from fakelens.evaluation.report.report import SCHEMA_VERSION, EvaluatedModel, Evaluation
from fakelens.evaluation.robustness.robustness import robustness_table
from fakelens.evaluation.scoring.controls import control_predictions
from fakelens.evaluation.scoring.predict import Predictions, predict
from fakelens.evaluation.scoring.prediction_cache import cached
from fakelens.evaluation.scoring.ranks import Ranks
from fakelens.inference.batches import check_images
from fakelens.inference.detector import Detector, load_detector
from fakelens.inference.identity import identity
from fakelens.inference.loading import check_label_map
from fakelens.zoo.shipped import SHIPPED, model_folder

AUDIT_ROWS = 5000  # of a split, at most: enough for a small classifier
CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Options:
    """What to find out, and how.

    Attributes:
        views: Names of views, see `fakelens.data.transforms.views`.
        batch_size: Images per forward pass.
        device: As torch names devices; the fastest one present if None.
        limit: Read this many rows from the start of each split; all if None.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.
        attacks: Methods of attack, see `fakelens.evaluation.attacks.adversarial`; with them go panels and
            S2's scenarios.
        strengths: Of the attacks, each in [0, 1].
        attack_limit: Attack this many images of each split, half of them of each class; all if None.
        robustness: Also degrade the images, step by step.
        robustness_limit: Degrade this many images of each split, half of them of each class; all if None.
        unknown_below: Where a model tells generators apart, the fraction of P(fake) that the likeliest must have to be
            named.
        audit: Also say what file facts alone would score.
        read: What the user says of the columns and classes of the data, and of the models' classes.
        model_rules: What the user says of single models' classes, by model; of the others `read` says it.
        gallery: Show so many images of each kind that each model was surest of; 0 for none.
    """

    views: Sequence[str] = ("raw", "normalised")
    batch_size: int = 32
    device: str | None = None
    limit: int | None = None
    trust_remote_code: bool = False
    attacks: Sequence[str] = ()
    strengths: Sequence[float] = STRENGTHS
    attack_limit: int | None = None
    robustness: bool = False
    robustness_limit: int | None = None
    unknown_below: float = UNKNOWN_BELOW
    audit: bool = True
    gallery: int = EACH
    read: ReadOptions = field(default_factory=ReadOptions)
    model_rules: Mapping[str, LabelRules] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what cannot be done; worth knowing before the work begins.

        Raises:
            UserError: With the way out.
        """
        check_views(list(self.views))
        if self.batch_size < 1 or (self.limit is not None and self.limit < 1) or self.gallery < 0:
            raise UserError("The batch size and the limit must be at least 1, the gallery's size at least 0.")
        if self.attacks:
            check_attack(self.attacks, self.strengths, self.attack_limit)
        check_images(self.robustness_limit)
        check_unknown_below(self.unknown_below)


def evaluate_models(
    models: Sequence[str], data: str, output: Path, splits: Sequence[str] = ("test",), options: Options | None = None
) -> dict[str, Any]:
    """Evaluate models on splits of one data source and write the report.

    What is found is kept beside the report's folder, in `{output}.partial`, until the report stands: the same call
    after a kill goes on where it stopped. Launched as several processes, they share the rows of every split; the first
    one does the rest and writes the report.

    Args:
        models: Folders of models, folders of checkpoints, or Hub repos.
        data: A SOURCE string, see `fakelens.data.sources.opening`.
        output: The report's folder.
        splits: Names of splits.
        options: What to find out, and how.

    Returns:
        The content of report.json, in every process.

    Raises:
        UserError: If a model or the data cannot be read, a model's scores are not numbers, or the report cannot be
            written.
    """
    options = options or Options()
    sources, evaluated = find_out(models, data, output, splits, options)
    report: dict[str, Any] = {}
    if evaluated:
        first = evaluated[0].predictions
        controls = {s.split: control_predictions(s, p) for s, p in zip(sources, first, strict=True)}
        audits = {source.split: _audit(source, options.limit) for source in sources if options.audit}
        report = write_report(output, Evaluation(sources, evaluated, controls, audits, options.unknown_below))
        shutil.rmtree(_partial(output), ignore_errors=True)
    return broadcast_object_list([report])[0]


def find_out(
    models: Sequence[str], data: str, output: Path, splits: Sequence[str] = ("test",), options: Options | None = None
) -> tuple[list[Source], list[EvaluatedModel]]:
    """Find out what a report says of models, and keep it beside the report's folder until that stands.

    A report of more models takes up what is kept of these, so that they may be evaluated in several processes.

    Args:
        models: As `evaluate_models` takes them, as all others.
        data: A SOURCE string.
        output: The report's folder.
        splits: Names of splits.
        options: What to find out, and how.

    Returns:
        The splits, opened, and the models; launched as several processes, the models in the first one alone.

    Raises:
        UserError: As `evaluate_models` does.
    """
    options = options or Options()
    options.check()
    check_output(output)
    ranks, partial = Ranks.launched(options.device), _partial(output)
    sources = [open_source(data, split, options.read) for split in dict.fromkeys(splits)]
    found = [(path, model) for model in models for path in find_checkpoints(model)]
    rules = {path: options.model_rules.get(model, options.read.rules) for path, model in found}
    paths = [path for path, _ in found]
    names = short_names(paths)
    check_label_map(options.read.rules, [one.classes for one in sources], rules, options.trust_remote_code)
    evaluated = []
    for path, name in zip(paths, names, strict=True):
        # One after the other: a folder of checkpoints need not fit in memory together.
        detector = load_detector(
            path,
            device=ranks.device(options.device),
            trust_remote_code=options.trust_remote_code,
            rules=rules[path],
        )
        views = tuple(dict.fromkeys(options.views))
        predictions = [
            predict(detector, s, views, options.batch_size, options.limit, name, partial, ranks) for s in sources
        ]
        if ranks.index == 0:
            evaluated.append(_evaluate(detector, path, name, sources, predictions, options, partial))
    return sources, evaluated


def _partial(output: Path) -> Path:
    """Return where results are kept until the report stands."""
    return output.absolute().with_name(f"{output.absolute().name}.partial")


def _evaluate(
    detector: Detector,
    path: str,
    name: str,
    sources: Sequence[Source],
    predictions: Sequence[Predictions],
    options: Options,
    partial: Path,
) -> EvaluatedModel:
    """Find out all else that was asked of one model."""
    about, methods = identity(detector), list(dict.fromkeys(options.attacks))
    batch, limit, strengths = options.batch_size, options.limit, options.strengths
    attacks_skipped = _cannot_be_attacked(detector) if methods else ""
    attacked = sources if methods and not attacks_skipped else ()

    def tables(
        kind: str, splits: Sequence[Source], settings: Sequence[Any], compute: Callable[[Source], Any]
    ) -> dict[str, Any]:
        found = {}
        for source in splits:
            data = [source.spec, source.split, source.revision, source.rows, limit, source.said]
            key = about | {"schema_version": SCHEMA_VERSION, "kind": kind, "data": data, "settings": settings}
            found[source.split] = cached(partial, key, bind(compute, source))
        return found

    def attack(source: Source) -> dict[str, Any]:
        few = options.attack_limit
        return {method: attack_table(detector, source, strengths, method, batch, limit, few) for method in methods}

    def degrade(source: Source) -> dict[str, Any]:
        few = options.robustness_limit
        return robustness_table(
            detector, source, detector.threshold, batch_size=batch, limit=limit, images=few, name=name
        )

    def attack_fraction(source: Source) -> dict[str, Any]:
        return scenarios(detector, source, batch_size=batch, limit=limit, images=options.attack_limit)

    return EvaluatedModel(
        name=name,
        path=path,
        architecture=type(detector.model).__name__,
        parameters=sum(p.numel() for p in detector.model.parameters()),
        weights=about["weights"],
        thresholds=detector.thresholds(),
        temperature=detector.temperature,
        device=device_name(detector),
        input_size=detector.input_size,
        labels=detector.readout.labels,
        predictions=tuple(predictions),
        unseen=_unseen(path),
        attacks=tables("attacks", attacked, [methods, list(strengths), options.attack_limit], attack),
        panels={
            s.split: {m: attack_panel(detector, s, strengths, method=m, limit=limit) for m in methods}
            for s in attacked
        },
        attacks_skipped=attacks_skipped,
        scenarios=tables("scenarios", attacked, [options.attack_limit], attack_fraction),
        robustness=tables("robustness", sources if options.robustness else (), [options.robustness_limit], degrade),
        gallery={
            s.split: build_gallery(detector, s, p, options.views[0], options.gallery)
            for s, p in zip(sources, predictions, strict=True)
            if options.gallery
        },
    )


def _audit(source: Source, limit: int | None) -> dict[str, Any]:
    """Return a split's audit, or why there is none."""
    try:
        return audit_source(source, min(limit or AUDIT_ROWS, AUDIT_ROWS))
    except UserError as error:
        return {"not_audited": str(error)}


def _cannot_be_attacked(detector: Detector) -> str:
    """Return why a detector cannot be attacked, "" if it can."""
    try:
        pixel_space(detector)
    except UserError as error:
        return str(error)
    return ""


def _unseen(path: str) -> tuple[str, ...] | None:
    """Return the generators that a model's record says it was trained without; None if it has no such record."""
    record = model_folder(path) / "run.json"
    if not record.is_file():
        return None
    held_out = json.loads(record.read_text(encoding="utf-8")).get("data", {}).get("held_out")
    return None if held_out is None else tuple(held_out)


def find_checkpoints(model: str) -> list[str]:
    """Return every `checkpoint-*` of a folder that is itself no model, in order of their steps; else the name alone.

    Args:
        model: A folder or a Hub repo.
    """
    folder = model_folder(model)
    if folder.is_dir() and not (folder / "config.json").exists():
        steps = {int(m[1]): path for path in folder.iterdir() if (m := CHECKPOINT.fullmatch(path.name))}
        if steps:
            return [str(steps[step]) for step in sorted(steps)]
    return [model]


def short_names(paths: Sequence[str]) -> list[str]:
    """Name models by the end of their paths, as short as tells them apart.

    Args:
        paths: Folders or Hub repos; a Hub repo keeps its whole name.

    Raises:
        UserError: If one model is there twice.
    """
    parts = [
        Path(path).resolve().parts if path != SHIPPED and Path(path).exists() else tuple(path.split("/"))
        for path in paths
    ]
    twice = [path for path, count in zip(paths, map(Counter(parts).get, parts), strict=True) if count != 1]
    if twice:
        raise UserError(f"The model {twice[0]} is named twice. Name each model once.")
    names = []
    for own in parts:
        # `model` and `checkpoint-100` say too little: their folder's name goes with them.
        length = min(len(own), 2)
        while sum(other[-length:] == own[-length:] for other in parts) > 1:
            length += 1
        names.append("/".join(own[-length:]))
    return names


def device_name(detector: Detector) -> str:
    """Return the detector's device for a report, such as `cpu` or `cuda:0 (NVIDIA H200)`."""
    device = detector.device
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
