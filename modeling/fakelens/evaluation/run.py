"""Models + data -> a report: the whole evaluation in order."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fakelens.data.audit import audit_source
from fakelens.data.sources import Source, open_source
from fakelens.data.views import check_views
from fakelens.detector import Detector, load_detector
from fakelens.errors import UserError
from fakelens.evaluation.adversarial import STRENGTHS, attack_table, check_attack, pixel_space
from fakelens.evaluation.attribution import UNKNOWN_BELOW, check_unknown_below
from fakelens.evaluation.controls import control_predictions
from fakelens.evaluation.gallery import EACH, build_gallery
from fakelens.evaluation.predict import predict
from fakelens.evaluation.report import Evaluation, Judged, check_output, write_report

AUDIT_ROWS = 5000  # of a split, at most: enough for a small classifier
CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def evaluate_models(
    models: Sequence[str],
    data: str,
    output: Path,
    splits: Sequence[str] = ("test",),
    views: Sequence[str] = ("raw", "normalised"),
    batch_size: int = 32,
    device: str | None = None,
    limit: int | None = None,
    trust_remote_code: bool = False,
    attacks: Sequence[str] = (),
    strengths: Sequence[float] = STRENGTHS,
    attack_limit: int | None = None,
    unknown_below: float = UNKNOWN_BELOW,
    audit: bool = True,
    gallery: int = EACH,
) -> dict[str, Any]:
    """Evaluate models on splits of one data source and write the report.

    Args:
        models: Folders of models, folders of checkpoints, or Hub repos.
        data: A SOURCE string, see `fakelens.data.sources`.
        output: The report's folder.
        splits: Names of splits.
        views: Names of views, see `fakelens.data.views`.
        batch_size: Images per forward pass.
        device: As torch names devices; the fastest one present if None.
        limit: Read this many rows from the start of each split; all if None.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.
        attacks: Methods of attack, see `fakelens.evaluation.adversarial`.
        strengths: Of the attacks, each in [0, 1].
        attack_limit: Attack this many images of each split, half of them of each class; all if None.
        unknown_below: Where a model tells generators apart, the share of P(fake) that the likeliest must have to be
            named.
        audit: Also say what file facts alone would score.
        gallery: Show so many images of each kind that each model was surest of; 0 for none.

    Returns:
        The content of report.json.

    Raises:
        UserError: If a model or the data cannot be read, a model's scores are not numbers, or the report cannot be
            written.
    """
    check_views(list(views))
    check_output(output)
    if batch_size < 1 or (limit is not None and limit < 1) or gallery < 0:
        raise UserError("The batch size and the limit must be at least 1, the gallery's size at least 0.")
    methods = list(dict.fromkeys(attacks))
    if methods:
        check_attack(methods, strengths, attack_limit)
    check_unknown_below(unknown_below)
    sources = [open_source(data, split) for split in dict.fromkeys(splits)]
    paths = [path for model in models for path in find_checkpoints(model)]
    shown = views[0]
    judged = []
    for path, name in zip(paths, short_names(paths), strict=True):
        # One after the other: a folder of checkpoints need not fit in memory together.
        detector = load_detector(path, device=device, trust_remote_code=trust_remote_code)
        predictions = [predict(detector, s, tuple(dict.fromkeys(views)), batch_size, limit, name) for s in sources]
        attacked, skipped = _attack(detector, sources, methods, strengths, batch_size, limit, attack_limit)
        judged.append(
            Judged(
                name=name,
                path=path,
                architecture=type(detector.model).__name__,
                parameters=sum(p.numel() for p in detector.model.parameters()),
                threshold=detector.threshold,
                device=device_name(detector),
                predictions=tuple(predictions),
                attacks=attacked,
                attacks_skipped=skipped,
                gallery={
                    s.split: build_gallery(detector, s, p, shown, detector.threshold, gallery)
                    for s, p in zip(sources, predictions, strict=True)
                    if gallery
                },
            )
        )
    first = judged[0].predictions
    controls = {s.split: control_predictions(s, p) for s, p in zip(sources, first, strict=True)}
    audits = {source.split: _audit(source, limit) for source in sources if audit}
    return write_report(output, Evaluation(sources, judged, controls, audits, unknown_below))


def _audit(source: Source, limit: int | None) -> dict[str, Any]:
    """Return a split's audit, or why there is none."""
    try:
        return audit_source(source, min(limit or AUDIT_ROWS, AUDIT_ROWS))
    except UserError as error:
        return {"not_audited": str(error)}


def _attack(
    detector: Detector,
    sources: Sequence[Source],
    methods: Sequence[str],
    strengths: Sequence[float],
    batch_size: int,
    limit: int | None,
    images: int | None,
) -> tuple[dict[str, dict[str, list[dict[str, Any]]]], str]:
    """Return the tables under attack by split and method, or why there are none."""
    if not methods:
        return {}, ""
    try:
        pixel_space(detector)
    except UserError as error:
        return {}, str(error)
    return {
        source.split: {
            method: attack_table(detector, source, strengths, method, batch_size, limit, images) for method in methods
        }
        for source in sources
    }, ""


def find_checkpoints(model: str) -> list[str]:
    """Return every `checkpoint-*` of a folder that is itself no model, in order of their steps; else the name alone.

    Args:
        model: A folder or a Hub repo.
    """
    folder = Path(model)
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
    parts = [Path(path).resolve().parts if Path(path).exists() else tuple(path.split("/")) for path in paths]
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
