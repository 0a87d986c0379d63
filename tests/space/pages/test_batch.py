"""The Batch page: rows for all that was sent, limits, and the table in a browser."""

import csv
import io
import json
import zipfile
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import handle_file

from fakelens import load_detector
from fakelens.inference.verdict import FIELDS
from tests.abuse import make_image
from tests.space.apps import batch, serving

HOSTILE = "=cmd('<img src=x onerror=alert(1)>').png"


@pytest.fixture(scope="module")
def app(tiny_model, tmp_path_factory):
    detectors = {"tiny": load_detector(tiny_model, "cpu")}
    with serving(detectors, tmp_path_factory.mktemp("uploads")) as started:
        yield started


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """A folder that passes for that of the uploads, and a function that puts files into it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def send(name, content):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}" / name
        path.parent.mkdir()
        path.write_bytes(content)
        return {"path": str(path), "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    return send


def png(seed=0):
    file = io.BytesIO()
    make_image(64, 48, seed).save(file, format="PNG")
    return file.getvalue()


def zipped(**files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in files.items():
            packed.writestr(f"{name}.png", content)
    return file.getvalue()


def test_each_input_has_its_row_in_order(app, tiny_model, tmp_path):
    packed = zipped(x=png(3), y=png(4))
    files = {"b.png": png(1), "text.jpg": b"no image", "a.png": png(2), "more.zip": packed, HOSTILE: png(1)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    sent = [tmp_path / name for name in ("b.png", "text.jpg", "more.zip", "a.png", HOSTILE, "b.png")]
    rows = app.client().predict([handle_file(path) for path in sent], api_name="/classify_batch")
    assert [list(row) for row in rows] == [["name", *FIELDS[1:]]] * 7
    names = ["b.png", "text.jpg", "more.zip/x.png", "more.zip/y.png", "a.png"]
    assert [row["name"] for row in rows[:5]] == names and rows[6]["name"] == "b.png"
    alone = load_detector(tiny_model, "cpu").scores([make_image(64, 48, seed) for seed in (1, 3, 4, 2, 1, 1)])
    assert [row["score"] for row in rows if row["error"] is None] == pytest.approx(alone, abs=1e-6)
    assert "not an image" in rows[1]["error"] and rows[1]["score"] is None
    assert not app.uploaded()


def test_what_is_too_much_is_refused(uploads, monkeypatch):
    monkeypatch.setattr(batch, "MAX_FILES", 3)
    with pytest.raises(gr.Error, match="4 images; at most 3"):
        batch.items_of([uploads(f"{n}.png", png()) for n in range(4)])
    with pytest.raises(gr.Error, match="4 images; at most 3"):  # those in zips count
        batch.items_of([uploads("a.zip", zipped(a=png(), b=png(), c=png())), uploads("b.png", png())])
    monkeypatch.setattr(batch, "MAX_TOTAL", 100)
    with pytest.raises(gr.Error, match="MiB are taken at once"):
        batch.items_of([uploads("a.png", png())])
    for nothing in (None, [], "x", {}):
        with pytest.raises(gr.Error, match="Choose images"):
            batch.items_of(nothing)


def test_an_upload_is_gone_once_it_was_read_and_all_are_when_the_visitor_stops(uploads, tiny_model):
    detector = load_detector(tiny_model, "cpu")
    sent = [uploads(f"{n}.png", png(n)) for n in range(6)] + [uploads("z.zip", zipped(a=png()))]
    rows = batch.scored(detector, batch.items_of(sent), None)
    row, thumbnail = next(rows)
    assert row["path"] == "0.png" and row["verdict"] and thumbnail.startswith("data:image/")
    assert [Path(one["path"]).exists() for one in sent] == [False] * 4 + [True] * 3  # a network's batch was read
    rows.close()
    batch.delete_all([*sent, None, {"path": "/etc/hostname"}])
    assert not any(Path(one["path"]).exists() for one in sent) and Path("/etc/hostname").exists()


@pytest.mark.slow
def test_the_table_is_sorted_filtered_and_downloaded_in_the_browser(app, visit, tmp_path):
    names = [HOSTILE, "b.png", "a.png", "text.jpg", "more.zip"]
    for name, content in zip(names, [png(1), png(2), png(3), b"no image", zipped(x=png(4))], strict=True):
        (tmp_path / name).write_bytes(content)
    page = visit(app.url, viewport={"width": 360, "height": 740}, accept_downloads=True)
    page.get_by_role("tab", name="Batch").click()
    page.locator(".tabitem:visible").locator("input[type=file]").last.set_input_files(
        [tmp_path / name for name in names]
    )
    page.locator(".file-preview tr").nth(4).wait_for()
    page.get_by_role("button", name="Score all").click()
    status = page.locator(".batch-status")
    status.filter(has_text="not scored").wait_for()
    assert status.inner_text().startswith("5 done: ") and "1 not scored" in status.inner_text()
    heading, cells = page.get_by_role("columnheader"), page.locator(".batch tbody th")
    order = [*names[:4], "more.zip/x.png"]
    assert cells.all_inner_texts() == order and page.locator(".batch td img").count() == 4
    assert page.locator("img[src=x]").count() == 0
    # The table scrolls inside itself.
    box = page.locator(".batch-scroll").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.get_by_role("button", name="File", exact=True).click()
    assert heading.filter(has_text="File").get_attribute("aria-sort") == "ascending"
    assert heading.filter(has_text="No.").get_attribute("aria-sort") == "none"
    assert cells.all_inner_texts()[1:3] == ["a.png", "b.png"]
    page.locator("th button[data-key=score]").click()
    page.locator("th button[data-key=score]").click()
    assert heading.filter(has_text="Score").get_attribute("aria-sort") == "descending"
    scores = [float(text) for text in page.locator(".batch td.batch-number:nth-child(5)").all_inner_texts() if text]
    assert scores == sorted(scores, reverse=True) and cells.last.inner_text() == "text.jpg"  # without a score: last
    # What the sentences of a verdict have in common stands above the table, once, and nowhere in it.
    summary = page.locator(".batch-groups button")
    assert sum(int(text.split()[1]) for text in summary.locator("strong").all_inner_texts()) == 5
    said = [text for text in summary.locator("p").all_inner_texts() if text]
    assert said and all(text.endswith(".") and "0." not in text for text in said)
    remarks = page.locator(".batch tbody td:last-child").all_inner_texts()
    assert not any("That is no proof" in text or "the detector's score" in text for text in remarks)
    page.locator("[data-verdict=none]").click()
    assert page.locator("[data-verdict=none]").get_attribute("aria-pressed") == "true"
    assert cells.all_inner_texts() == ["text.jpg"] and "1 shown" in status.inner_text()
    page.locator("[data-verdict=none]").click()
    page.get_by_label("Containing").fill("B.PNG")
    assert cells.all_inner_texts() == ["b.png"]

    def saved(button):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        return Path(download.value.path()).read_text(encoding="utf-8-sig")

    # All rows, in the order of the input, whatever is shown.
    table = list(csv.DictReader(io.StringIO(saved("Download CSV"))))
    assert list(table[0]) == list(FIELDS) and [row["path"] for row in table] == ["'" + HOSTILE, *order[1:]]
    assert "not an image" in table[3]["error"] and json.loads(table[1]["provenance"])["format"] == "PNG"
    rows = json.loads(saved("Download JSON"))
    assert [row["path"] for row in rows] == order and [list(row) for row in rows] == [list(FIELDS)] * 5
    assert not app.uploaded()


@pytest.mark.slow
def test_a_refusal_stands_on_the_page(app, visit):
    page = visit(app.url)
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="Score all").click()
    page.get_by_role("alert").filter(has_text="Choose images first").wait_for()
