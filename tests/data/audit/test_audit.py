"""The audit: what files give away is found, what they do not is not."""

import io
import json
import subprocess
import sys

import datasets
import numpy as np
import pytest
from PIL import Image

from fakelens.data.audit.audit import audit_source, pair_of
from fakelens.data.audit.file_facts import CONTENT_FACTS, FORMAT_FACTS, file_facts
from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from tests.conftest import SCRIPTS


def make_image(number, side=(64, 48)):
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(side, Image.Resampling.BICUBIC)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def write(folder, rows):
    """Write rows of (bytes, label, model, source) as the test split, and open it."""
    folder.mkdir()
    names = ("image", "label", "model", "source")
    cells = [({"bytes": data, "path": None}, *rest) for data, *rest in rows]
    features = datasets.Features(dict.fromkeys(names, datasets.Value("string")) | {"image": datasets.Image()})
    data = datasets.Dataset.from_list([dict(zip(names, cell, strict=True)) for cell in cells], features=features)
    data.to_parquet(folder / "test-00000-of-00001.parquet")
    return open_source(str(folder), "test")


def facts_of(data):
    values = file_facts(data, Image.open(io.BytesIO(data)).convert("RGB"))
    return dict(zip(FORMAT_FACTS + CONTENT_FACTS, values, strict=True))


def test_facts_of_a_jpeg_and_of_a_png():
    exif = Image.Exif()
    exif[0x0110] = "A camera"
    fine = encoded(make_image(0), quality=95, subsampling=0, exif=exif)
    coarse = encoded(make_image(0), quality=40, subsampling=2)
    jpeg, second, png = facts_of(fine), facts_of(coarse), facts_of(encoded(Image.new("RGB", (20, 10), "red"), "PNG"))
    assert (jpeg["is JPEG"], jpeg["is PNG"], jpeg["has EXIF"], jpeg["JPEG chroma subsampling"]) == (1, 0, 1, 0)
    assert (second["has EXIF"], second["JPEG chroma subsampling"]) == (0, 2)
    assert jpeg["JPEG luma table"] == np.mean(Image.open(io.BytesIO(fine)).quantization[0])
    assert jpeg["JPEG luma table"] < second["JPEG luma table"]
    assert jpeg["bytes per pixel"] == len(fine) / (64 * 48)
    assert (png["is PNG"], png["width"], png["aspect"], png["JPEG luma table"]) == (1, 20, 2, -1)
    assert (png["mean red"], png["mean blue"]) == (255, 0)


def test_a_leak_of_one_generator_is_found_named_and_gone_once_normalised(tmp_path):
    rows = []
    for number in range(240):
        # Real images and one generator's fakes: quality 80 or 90; the other generator's: 85, which is neither high nor
        # low.
        fake, leaky = number % 2, number % 4 == 1
        quality = 85 if leaky else (80, 90)[number // 4 % 2]
        model = ("leaky" if leaky else "clean") if fake else None
        source = "one-class" if number % 8 == 0 else "shared"
        data = encoded(make_image(number), quality=quality, subsampling=2)
        rows.append((data, "fake" if fake else "real", model, source))
    rows.append((b"no image", "real", None, "shared"))
    audit = audit_source(write(tmp_path / "data", rows))
    raw, normalised = audit["views"]["raw"], audit["views"]["normalised"]
    assert (audit["real"], audit["fake"], audit["rows"], audit["skipped"]) == (120, 120, 241, {"not an image": 1})
    assert raw["generators"]["leaky"]["auroc"] > 0.95 and abs(raw["generators"]["clean"]["auroc"] - 0.5) < 0.25
    assert raw["generators"]["leaky"]["fake"] == 60 and raw["generators"]["leaky"]["real"] == 120
    leaks = {one["fact"]: one["auroc"] for one in raw["leaks"]}
    assert leaks["JPEG luma table"] > 0.65  # 85 lies between 80 and 90: no threshold finds it
    assert normalised["auroc_format"] == 0.5
    assert raw["sources"]["one-class"] == {"auroc": None, "real": 30, "fake": 0}
    assert raw["sources"]["shared"]["auroc"] > 0.6
    assert "degradations" in audit["advice"] and "JPEG" in audit["advice"]


def test_size_leaks_and_shape_outlives_normalisation(tmp_path):
    rows = []
    for number in range(80):
        side = (64, 48) if number % 2 else (64, 64)
        rows.append((encoded(make_image(number, side)), "fake" if number % 2 else "real", None, ""))
    audit = audit_source(write(tmp_path / "data", rows))
    assert audit["views"]["normalised"]["auroc_format"] == 1
    assert "Shape" in audit["advice"]


def test_the_sample_gives_nothing_away_by_format_and_size(sample):
    audit = audit_source(open_source("sample", "validation"))
    for view in audit["views"].values():
        assert abs(view["auroc_format"] - 0.5) < audit["chance"]
    assert "Format and size do not give" in audit["advice"] or "no better than chance" in audit["advice"]


def test_twins_stay_in_one_fold():
    assert pair_of("china-001-real") == pair_of("china-001-fake") != pair_of("china-002-real")
    assert pair_of("train/REAL/a.jpg") == pair_of("train/Fake/a.jpg")
    assert pair_of("surreal-1") == "surreal-1"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["real"] * 30, "only real images .30 read.*both"),
        (["real"] * 30 + ["fake"] * 5, "30 real images and 5 fakes.*20 of each"),
    ],
)
def test_too_little_to_compare(tmp_path, labels, words):
    rows = [(encoded(make_image(n)), label, None, "") for n, label in enumerate(labels)]
    with pytest.raises(UserError, match=words):
        audit_source(write(tmp_path / "data", rows))


def test_a_limit_that_meets_one_class_says_so(tmp_path):
    rows = [(encoded(make_image(n)), "real" if n < 30 else "fake", None, "") for n in range(60)]
    with pytest.raises(UserError, match="--limit"):
        audit_source(write(tmp_path / "data", rows), limit=30)


def test_the_script_prints_json_or_tables(sample, tmp_path):
    command = [sys.executable, SCRIPTS / "audit.py", "--data", "sample", "--split", "validation"]
    printed = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    audit = json.loads(printed)
    assert audit["schema_version"] == 1 and audit["splits"]["validation"]["real"] == 48
    output = tmp_path / "audit"
    shown = subprocess.run([*command, "--output", output], capture_output=True, text=True, check=True).stdout
    assert json.loads((output / "audit.json").read_text()) == audit
    assert "source coffee" in shown and "leak most, raw" in shown
    assert audit["splits"]["validation"]["advice"] in " ".join(shown.split())
