"""The gallery: the images that a detector was most sure of, rightly and wrongly, with what it looked at.

Reference system S0 shows one of each kind with a reason. Here the reason is what can be measured: where in the image
the evidence lies, and what the file is. What a person would call the reason is left to whoever looks at it.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image
from tqdm import tqdm

from fakelens.data.audit.file_facts import FORMAT_FACTS, file_facts
from fakelens.data.decode import DecodedImage, decode_image
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import Source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.explain.maps.heatmap import heat_map, overlay
from fakelens.inference.detector import Detector
from fakelens.inference.thresholds import Thresholds

KINDS = {
    "false_positive": "False positives: real images predicted fake",
    "false_negative": "False negatives: fakes predicted real",
    "true_positive": "True positives: fakes predicted fake",
    "true_negative": "True negatives: real images predicted real",
}
EACH = 4  # images of each kind
LONG_SIDE = 512  # pixels; larger images are shown smaller
STRONG = 0.6  # of a heat map, from which a place speaks for "fake"; 1 - STRONG, up to which it speaks for "real"
THIRDS = {"rows": ("upper", "middle", "lower"), "columns": ("left", "centre", "right")}

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gallery of an evaluation</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
ul { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); list-style: none;
     padding: 0; }
.images { display: grid; gap: 2px; grid-template-columns: 1fr 1fr; }
.images img { image-rendering: auto; width: 100%; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
</style>
<h1>What the detectors were surest of</h1>
<p>Left the image, right the evidence laid over it: red speaks for fake, blue for real, pale for neither, on one scale
for all. Images of which a detector is uncertain are in none of the lists. The images belong to the evaluated data and
its licence.</p>
{% for model in models if model.gallery %}
{% for split, items in model.gallery.items() %}
<h2>{{ model.name }}, split {{ split }}</h2>
{% for kind, title in kinds.items() %}
{% set chosen = items | selectattr("kind", "equalto", kind) | list %}
<h3>{{ title }}{{ ": none" if not chosen }}</h3>
<ul>
{% for item in chosen %}
<li>
<div class="images">
<img src="{{ item.image }}" alt="{{ title }}: {{ item.id }}">
{% if item.heat_map %}
<img src="{{ item.heat_map }}" alt="Heat map of {{ item.id }}">
{% endif %}
</div>
<p><b>P(fake) {{ "%.3f" | format(item.score) }}: {{ item.verdict }}</b>, {{ item.generator }}
{{- ", " ~ item.source if item.source }}</p>
<p>{{ item.remark }}</p>
<p><small>{{ item.id }}</small></p>
</li>
{% endfor %}
</ul>
{% endfor %}
{% endfor %}
{% endfor %}
</html>
"""


@dataclass(frozen=True)
class Exhibit:
    """One image of the gallery.

    Attributes:
        facts: What report.json says of it: `kind`, `id`, `label`, `generator`, `source`, `score`, `verdict`, `file`,
            `heat_map_fractions` (fractions of the image, None without a heat map), `remark`.
        image: A JPEG of the image, at most 512 pixels a side.
        heat_map: A JPEG with the evidence laid over it; None for a network that has no heat map.
    """

    facts: dict[str, Any]
    image: bytes
    heat_map: bytes | None


def surest(predictions: Predictions, view: str, thresholds: Thresholds, each: int = EACH) -> dict[str, list[int]]:
    """Choose the images that a model was surest of, by kind; those of which it is uncertain are of none.

    Args:
        predictions: Of one model on one split.
        view: Whose scores to go by.
        thresholds: Where its verdict changes.
        each: How many of each kind, at most.

    Returns:
        For each of `KINDS`, positions in the predictions, the surest first; ties in the data's order.
    """
    scores, labels = predictions.scores[view], predictions.labels
    words = thresholds.verdicts(scores)
    members = {
        "false_positive": (words == "fake") & (labels == REAL),
        "false_negative": (words == "real") & (labels == FAKE),
        "true_positive": (words == "fake") & (labels == FAKE),
        "true_negative": (words == "real") & (labels == REAL),
    }
    order = {True: np.argsort(-scores, kind="stable"), False: np.argsort(scores, kind="stable")}
    return {
        kind: [int(i) for i in order[kind.endswith("positive")] if inside[i]][:each]
        for kind, inside in members.items()
    }


def build_gallery(
    detector: Detector, source: Source, predictions: Predictions, view: str, each: int = EACH
) -> list[Exhibit]:
    """Fetch the chosen images again, in one more pass over the undecoded rows, and look at what the detector saw.

    Args:
        detector: The model, for its thresholds and its heat maps.
        source: The split.
        predictions: What the model said of it.
        view: Whose scores to go by.
        each: How many of each kind, at most.
    """
    kinds = surest(predictions, view, detector.thresholds(), each)
    chosen = {str(predictions.ids[i]): (kind, i) for kind, found in kinds.items() for i in found}
    exhibits: dict[str, Exhibit] = {}
    with tqdm(total=len(chosen), desc=f"gallery of {predictions.split}", unit="image", disable=None) as progress:
        for row in read(source) if chosen else ():
            if row["id"] in chosen and row["id"] not in exhibits:
                kind, index = chosen[row["id"]]
                exhibits[row["id"]] = _exhibit(detector, row, kind, float(predictions.scores[view][index]))
                progress.update()
                if len(exhibits) == len(chosen):
                    break
    return [exhibits[row_id] for row_id in chosen if row_id in exhibits]


def _exhibit(detector: Detector, row: Mapping[str, Any], kind: str, score: float) -> Exhibit:
    data = row_bytes(row["image"])
    decoded = decode_image(data)
    try:
        heat = heat_map(detector, decoded.image)
    except UserError:  # a network without feature maps
        heat = None
    facts = _facts_of_file(data, decoded)
    fractions = None if heat is None else heat_map_fractions(heat)
    return Exhibit(
        {
            "kind": kind,
            **{key: row[key] for key in ("id", "label", "generator", "source")},
            "score": score,
            "verdict": detector.thresholds().verdict(score),
            "file": facts,
            "heat_map_fractions": fractions,
            "remark": remark(facts, fractions),
        },
        _jpeg(decoded.image),
        None if heat is None else _jpeg(overlay(decoded.image, heat)),
    )


def heat_map_fractions(heat: np.ndarray) -> dict[str, Any]:
    """Say how much of an image speaks for either class, and where most of what speaks for "fake" lies.

    Args:
        heat: What `heat_map` returned, of shape `(height, width)` in [0, 1].

    Returns:
        `fake` and `real` (fractions of the image in [0, 1]) and `strongest` (such as "upper left"; None where nothing
        speaks for "fake").
    """
    fake = heat >= STRONG
    strongest = None
    if fake.any():
        thirds = [np.array_split(part, 3, axis=1) for part in np.array_split(fake, 3, axis=0)]
        sums = np.array([[cell.mean() if cell.size else 0.0 for cell in part] for part in thirds])
        row, column = np.unravel_index(int(sums.argmax()), sums.shape)
        strongest = f"{THIRDS['rows'][row]} {THIRDS['columns'][column]}"
    return {"fake": float(fake.mean()), "real": float((heat <= 1 - STRONG).mean()), "strongest": strongest}


def remark(file: Mapping[str, Any], fractions: Mapping[str, Any] | None) -> str:
    """Put an exhibit's facts into a sentence or two.

    Args:
        file: Its file's facts.
        fractions: What `heat_map_fractions` returned; None without a heat map.
    """
    size = f"{file['width']} × {file['height']}"
    said = f"{file['format'] or 'A file'}, {size}, {file['bytes_per_pixel']:.2f} bytes a pixel."
    if file["camera"]:
        said += f" Its EXIF names a {file['camera']}."
    if fractions is None:
        return said
    where = f", most densely {fractions['strongest']}" if fractions["strongest"] else ""
    return f"{said} {fractions['fake']:.0%} of the image speaks for fake{where}; {fractions['real']:.0%} for real."


def write_gallery(folder: Path, galleries: Mapping[str, Mapping[str, Sequence[Exhibit]]]) -> dict[str, Any]:
    """Write the images of all models, and the page `gallery/index.html`.

    Args:
        folder: The report's folder.
        galleries: Exhibits by model and split.

    Returns:
        By model and split what report.json says of each, with the images' paths below `folder`.
    """
    home = folder / "gallery"
    home.mkdir(parents=True)
    said: dict[str, Any] = {}
    for number, (model, splits) in enumerate(galleries.items()):
        said[model] = {}
        for split, exhibits in splits.items():
            said[model][split] = []
            for index, exhibit in enumerate(exhibits):
                paths: dict[str, str | None] = {}
                for key, data in (("image", exhibit.image), ("heat_map", exhibit.heat_map)):
                    name = f"gallery/{number}_{split}_{index:02d}_{exhibit.facts['kind']}_{key}.jpg"
                    paths[key] = name if data else None
                    if data:
                        (folder / name).write_bytes(data)
                said[model][split].append(exhibit.facts | paths)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    # The page lies beside its images.
    models = [
        {"name": name, "gallery": {split: [_beside(one) for one in items] for split, items in splits.items()}}
        for name, splits in said.items()
    ]
    (home / "index.html").write_text(environment.from_string(PAGE).render(models=models, kinds=KINDS), "utf-8")
    return said


def _beside(item: Mapping[str, Any]) -> dict[str, Any]:
    names = {key: item[key] and Path(item[key]).name for key in ("image", "heat_map")}
    return {**item, **names}


def _facts_of_file(data: bytes, decoded: DecodedImage) -> dict[str, Any]:
    measured = dict(zip(FORMAT_FACTS, file_facts(data, decoded.image), strict=False))
    table = measured["JPEG luma table"]
    return {
        "format": decoded.format,
        "width": decoded.width,
        "height": decoded.height,
        "bytes": len(data),
        "bytes_per_pixel": len(data) / (decoded.width * decoded.height),
        "jpeg_luma_table": table if table >= 0 else None,
        "camera": decoded.camera,
        "software": decoded.software,
    }


def _jpeg(image: Image.Image) -> bytes:
    shown = image.copy()
    shown.thumbnail((LONG_SIDE, LONG_SIDE))
    file = io.BytesIO()
    shown.save(file, format="JPEG", quality=90)
    return file.getvalue()
