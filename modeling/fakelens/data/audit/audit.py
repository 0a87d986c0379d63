"""The audit: how well a detector could do on a data set without looking at the image.

A small classifier is fitted to file facts alone (see `facts.py`) and scored on the files it was not fitted to. What it
reaches, a network can reach by reading the same facts off the pixels, and a test score at or below it proves nothing.
"""

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from fakelens.data.audit.file_facts import CONTENT_FACTS, FORMAT_FACTS, file_facts
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import Source, examples
from fakelens.data.sources.skips import SkipLog
from fakelens.data.transforms.views import apply_view
from fakelens.errors import UserError

SCHEMA_VERSION = 1  # of an audit's JSON; raise it when a reader of the old one would misread the new one
VIEWS = ("raw", "normalised")
FACTS = FORMAT_FACTS + CONTENT_FACTS
FOLDS = 5
FEWEST = 20  # images of each class; with fewer, chance alone moves the AUROC by more than .18
LEAK = 0.6  # AUROC from which facts count as a leak, if chance cannot explain it
TOP = 3


def audit_source(source: Source, limit: int | None = None) -> dict[str, Any]:
    """Audit one split of a data source.

    Args:
        source: The split, opened. One pass is made over it, and a few numbers an image are kept.
        limit: Read only this many rows from its start.

    Returns:
        What `audit_facts` returns, with `rows` (read) and `skipped` (rows by reason).

    Raises:
        UserError: If the split has one class, or too few images of one.
    """
    skips = SkipLog()
    ids: list[str] = []
    labels: list[int] = []
    groups: dict[str, list[str]] = {"source": [], "generator": []}
    facts: dict[str, list[np.ndarray]] = {view: [] for view in VIEWS}
    if limit is not None:
        rows = limit if source.rows is None else min(source.rows, limit)
        source = replace(source, stream=source.stream.take(limit), rows=rows)
    reading = tqdm(
        examples(source, skips), total=source.rows, desc=f"audit {source.split}", unit="image", disable=None
    )
    for example in reading:
        ids.append(example.id)
        labels.append(example.label)
        groups["source"].append(example.source)
        groups["generator"].append(example.generator)
        facts["raw"].append(file_facts(example.data, example.image.image))
        seen = apply_view("normalised", example.image.image)
        file = io.BytesIO()
        seen.save(file, format="JPEG", quality="keep")  # the view's own tables: its file once more
        facts["normalised"].append(file_facts(file.getvalue(), seen))
    found = f"{source.spec}, split {source.split!r}"
    _check_classes(np.array(labels), found, limit)
    result = audit_facts(
        {view: np.stack(rows) for view, rows in facts.items()},
        np.array(labels),
        np.array([pair_of(row_id) for row_id in ids]),
        np.array(groups["source"]),
        np.array(groups["generator"]),
    )
    return {"rows": len(ids) + sum(skips.counts.values()), "skipped": skips.counts, **result}


def audit_facts(
    facts: dict[str, np.ndarray], labels: np.ndarray, pairs: np.ndarray, sources: np.ndarray, generators: np.ndarray
) -> dict[str, Any]:
    """Compute an audit from facts that were measured.

    Args:
        facts: For each view, of shape `(count, 16)`, see `file_facts`.
        labels: 0 real, 1 fake, of shape `(count,)`, both present.
        pairs: What to keep in one fold, of shape `(count,)`. Were one half of a pair fitted, its twin would be scored
            by its colour as if it were the other class, and hide a leak.
        sources: The collection of each image, of shape `(count,)`.
        generators: What made each image, of shape `(count,)`.

    Returns:
        `real` and `fake` (counts), `chance` (how far from .5 the AUROC of a coin is, in 95 of 100 cases), `views` and
        `advice`. A view has `auroc`, `auroc_format` (of format and size alone), `sources` and `generators` (AUROC of
        each, the latter against all real images; None where one class is absent) and `leaks`: the three single facts
        that tell most.
    """
    real, fake = int((labels == REAL).sum()), int((labels == FAKE).sum())
    views = {
        view: {
            "auroc": _auroc(labels, scores := out_of_fold(table, labels, pairs)),
            "auroc_format": _auroc(labels, out_of_fold(table[:, : len(FORMAT_FACTS)], labels, pairs)),
            "sources": {str(name): _group(labels, scores, sources == name) for name in np.unique(sources)},
            "generators": {
                str(name): _group(labels, scores, (generators == name) | (labels == REAL))
                for name in np.unique(generators[labels == FAKE])
            },
            "leaks": single_facts(table, labels, pairs)[:TOP],
        }
        for view, table in facts.items()
    }
    # The spread of a Mann-Whitney statistic when there is nothing to find.
    chance = 1.96 * float(np.sqrt((real + fake + 1) / (12 * real * fake)))
    return {"real": real, "fake": fake, "chance": chance, "views": views, "advice": advise(views, chance)}


def out_of_fold(facts: np.ndarray, labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return P(fake) of each image from a classifier that was fitted to other folds, of shape `(count,)`.

    Args:
        facts: Of shape `(count, facts)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        pairs: What to keep in one fold, of shape `(count,)`.
    """
    scores = np.empty(len(labels))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for fit, rest in folds.split(facts, labels, pairs):
        # Shallow and short: this is to find what leaks, not to win.
        model = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, min_samples_leaf=10, early_stopping=False, random_state=0
        )
        scores[rest] = model.fit(facts[fit], labels[fit]).predict_proba(facts[rest])[:, FAKE]
    return scores


def single_facts(facts: np.ndarray, labels: np.ndarray, pairs: np.ndarray) -> list[dict[str, Any]]:
    """Rank the facts by what each tells alone, the most telling first.

    Each has a classifier of its own, for a fact can tell all without being higher in one class: a photo site's
    compression is one value among many.

    Args:
        facts: Of shape `(count, 16)`, see `file_facts`.
        labels: 0 real, 1 fake, of shape `(count,)`, both present.
        pairs: What to keep in one fold, of shape `(count,)`.

    Returns:
        For each fact that is not the same in all files its name (`fact`), its AUROC out of fold, and the class it is
        `higher_in` on the whole.
    """
    ranked = [
        {
            "fact": name,
            "auroc": _auroc(labels, out_of_fold(column[:, None], labels, pairs)),
            "higher_in": "fake" if roc_auc_score(labels, column) >= 0.5 else "real",
        }
        for name, column in zip(FACTS, facts.T, strict=True)
        if np.ptp(column)
    ]
    return sorted(ranked, key=lambda one: -one["auroc"])


def advise(views: dict[str, dict[str, Any]], chance: float) -> str:
    """Say in a sentence or two what to do about what was found.

    Args:
        views: As `audit_facts` returns them.
        chance: Likewise.
    """

    def leaks(auroc: float) -> bool:
        return auroc >= LEAK and auroc - 0.5 > chance

    raw, normalised = views["raw"], views["normalised"]
    content = (
        "detail and colour do, by what the images show or by the generators' traces: set content-matched real images "
        "against them, or mix in pairs made by fakelens reconstruct."
    )
    if leaks(normalised["auroc_format"]):
        return (
            "Shape gives the classes away even at one size, format and quality: crop both to one aspect before "
            "anything else, and trust no score on this data until then."
        )
    if leaks(raw["auroc_format"]):
        told = [one["fact"] for one in raw["leaks"] if one["fact"] in FORMAT_FACTS]
        top = f" ({told[0]} above all)" if told else ""
        advice = (
            f"Format and size alone give the classes away{top}: train with degradations on both classes, and read "
            "normalised scores, not raw ones."
        )
        return f"{advice} Once normalised, {content}" if leaks(normalised["auroc"]) else advice
    if leaks(max(raw["auroc"], normalised["auroc"])):
        return f"Format and size do not give the classes away, but {content}"
    return "File facts tell the classes apart no better than chance, or hardly: what a detector scores, it has to see."


def pair_of(row_id: str) -> str:
    """Return what the two halves of a pair share: their id without its word for the class.

    Args:
        row_id: Such as `china-001-real` or `train/fake/0001.jpg`. An id without such a word is a pair of its own.
    """
    return re.sub(r"\b(real|fake)\b", "", row_id, flags=re.IGNORECASE)


def _auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    return float(roc_auc_score(labels, scores)) if len(np.unique(labels)) == 2 else None


def _group(labels: np.ndarray, scores: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    labels = labels[inside]
    auroc = _auroc(labels, scores[inside])
    return {"auroc": auroc, "real": int((labels == REAL).sum()), "fake": int((labels == FAKE).sum())}


def _check_classes(labels: np.ndarray, found: str, limit: int | None) -> None:
    real, fake = int((labels == REAL).sum()), int((labels == FAKE).sum())
    if min(real, fake) >= FEWEST:
        return
    more = " Read more rows with --limit, for they may be sorted by class." if limit is not None else ""
    if not real or not fake:
        raise UserError(
            f"{found} has {'no images' if real == fake else 'only fakes' if fake else 'only real images'} "
            f"({real + fake} read); an audit compares two classes.{more or ' Name a split that has both.'}"
        )
    raise UserError(
        f"{found} has {real} real images and {fake} fakes; an audit needs {FEWEST} of each, or chance decides."
        f"{more or ' Name a larger split.'}"
    )
