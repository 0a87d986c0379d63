"""The Compare page: its tables, its sentence, and what its endpoints answer."""

import re

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from fakelens import load_detector
from fakelens.explain.stability import Step, stability, stability_sentence
from tests.abuse import make_image
from tests.space.apps import compare, compare_tables, serving


@pytest.fixture(scope="module")
def detector(tiny_model):
    found = load_detector(tiny_model, "cpu")
    found.uncertain_band = (0.3, 0.7)
    return found


def row(model, verdict, score):
    return {"model": model, "verdict": verdict, "score": score, "error": None, "max_fpr": 0.05}


def test_the_sentence_on_agreement():
    a, b, c = row("a", "fake", 0.9), row("b", "fake", 0.8), row("c", "real", 0.1)
    assert compare.agreement([a]) == ""  # one model has none to agree with
    assert compare.agreement([a, b]).startswith("All 2 models predict fake. Their scores go from 0.80 to 0.90.")
    said = compare.agreement([a, c, b])
    assert said.startswith("The models disagree: fake by a, b; real by c.") and "0.10 to 0.90" in said
    unjudged = row("d", None, None) | {"error": "broken"}
    assert "All 2" in compare.agreement([a, unjudged, b])
    assert compare.agreement([unjudged]) == "No model could score this image."


def test_tables_draw_scores_on_their_scale_and_nothing_of_a_name_as_html(detector):
    hostile = "<script>alert(1)</script>"
    html = compare_tables.models_table(
        {hostile: detector}, [row(hostile, "fake", 0.9), row(hostile, None, None) | {"error": hostile}]
    )
    assert "<script" not in html and html.count("&lt;script") == 3
    assert 'role="meter"' in html and "fl-zone-fake fl-here" in html and "at most 5 %" in html
    assert (
        'aria-valuetext="0.90, fake; real from 0.00 to 0.30; uncertain from 0.30 to 0.70; fake from 0.70 to 1.00"'
        in html
    )
    steps = [Step("as it is", (40, 30), "fake", 0.9), Step("JPEG 30", (40, 30), "uncertain", 0.5)]
    html = compare_tables.stability_table("m", detector, steps)
    assert html.count("(changed)") == 1 and html.count('role="meter"') == 2
    assert "Change of score" in html and ">−0.400<" in html and html.count(">−") == 1
    assert [compare_tables.moved(Step("", (1, 1), "fake", after), steps[0]) for after in (0.95, 0.9001)] == [
        "+0.050",
        "0.000",
    ]
    assert re.search(r"1 of the 1 changes alters the verdict", html)


@pytest.fixture(scope="module")
def app(tiny_model, detector, tmp_path_factory):
    """An app with two models, of which one is calibrated to predict fake more often."""
    other = load_detector(tiny_model, "cpu")
    other.threshold, other.uncertain_band, other.fpr_thresholds = 0.0, (0.0, 0.0), {0.2: 0.0}
    with serving({"first": detector, "second": other}, tmp_path_factory.mktemp("uploads")) as started:
        yield started


def test_all_models_and_changes_through_the_api(app, detector, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    make_image(200, 150).save(good)
    bad.write_text("no image")
    client = app.client()
    answer = client.predict(handle_file(good), api_name="/compare")
    steps = client.predict(handle_file(good), api_name="/stability")
    for name in ("/compare", "/stability"):
        with pytest.raises(AppError, match="not an image"):
            client.predict(handle_file(bad), api_name=name)
    assert client.predict(handle_file(good), "second", 0.2, api_name="/stability")["steps"][0]["verdict"] == "fake"
    assert not app.uploaded()
    first, second = answer["rows"]
    assert (first["name"], first["model"], first["max_fpr"]) == ("good.png", "first", None)
    assert (second["model"], second["verdict"], second["max_fpr"]) == ("second", "fake", 0.2)
    score = detector.scores([make_image(200, 150)])[0]
    assert [first["score"], second["score"]] == pytest.approx([score, score], abs=1e-6)
    assert answer["agreement"] == compare.agreement(answer["rows"])
    expected = stability(detector, make_image(200, 150))
    assert [step["name"] for step in steps["steps"]] == [step.name for step in expected]
    assert [step["score"] for step in steps["steps"]] == pytest.approx([step.score for step in expected], abs=1e-6)
    assert steps["steps"][0]["image_size"] == [200, 150] and steps["sentence"] == stability_sentence(expected)


@pytest.mark.slow
def test_the_page_shows_models_then_changes_and_keeps_nothing(app, visit, tmp_path):
    make_image(200, 150).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    page = visit(app.url, viewport={"width": 360, "height": 740})
    page.get_by_role("tab", name="Compare").click()
    files = page.locator("#zone-compare input[type=file]").first
    files.set_input_files(tmp_path / "good.png")
    page.locator("#stability table").nth(1).wait_for()
    assert page.locator("#compared tbody tr").count() == 2 and page.locator("#stability tbody tr").count() == 20
    assert page.locator("#compared img").get_attribute("src").startswith("data:image/")
    meters = page.locator("#compared [role=meter], #stability [role=meter]")
    assert meters.count() == 22 and "uncertain from 0.30 to 0.70" in meters.first.get_attribute("aria-valuetext")
    for box in (one.bounding_box() for one in page.get_by_role("region").all() if one.is_visible()):
        assert box["x"] + box["width"] <= 360  # wide tables scroll inside themselves
    files.set_input_files(tmp_path / "bad.png")
    page.get_by_role("alert").filter(has_text="not an image").wait_for()
    assert not app.uploaded()


@pytest.mark.slow
def test_another_model_scores_the_same_image_again(app, visit, tmp_path):
    make_image(200, 150).save(tmp_path / "good.png")
    page = visit(app.url)
    page.wait_for_selector("#zone-image")
    page.wait_for_function("window.fakelens !== undefined")
    page.locator("#zone-image input[type=file]").first.set_input_files(tmp_path / "good.png")
    page.locator("#verdict .fl-card").wait_for()
    first = page.locator("#verdict [role=meter]").get_attribute("aria-valuetext")
    choice = page.get_by_label("Model", exact=True).first
    choice.click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function(
        "first => { const meter = document.querySelector('#verdict [role=meter]');"
        " return meter && meter.getAttribute('aria-valuetext') !== first }",
        arg=first,
    )
    assert not app.uploaded()
