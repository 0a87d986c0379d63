"""The app in headless Chromium: an image in by every door, each tab, an error, a phone, dark; screenshots are kept.

They go to `$FAKELENS_SCREENSHOTS`, or to pytest's own folder.
"""

import os
import re
from pathlib import Path

import pytest
import torch
from PIL import Image, PngImagePlugin

from fakelens import load_detector
from fakelens.zoo.registry import build_detector, build_processor
from tests.space.apps import running
from tests.space.conftest import BAND, SMALL_CNN, spread

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror='window.hacked=1'>"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
# What FileReader and DataTransfer want, in the page.
FILE = "new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type: 'image/png'})"


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    folder = Path(os.environ.get("FAKELENS_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def model(photographs, tmp_path_factory):
    """A detector that calls one of the photographs real and another one fake."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "small"
    network, processor = build_detector("custom_cnn", **SMALL_CNN), build_processor("custom_cnn", 64)
    pictures = [Image.open(photographs[name]) for name in ("chelsea.png", "coffee.png", "astronaut.png")]
    spread(network, torch.cat([processor(picture, return_tensors="pt")["pixel_values"] for picture in pictures]))
    network.config.uncertain_band, network.config.fpr_thresholds = BAND, {"0.05": BAND[1], "0.2": 0.5}
    for saved in (network, processor):
        saved.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def app(chromium, model, tmp_path_factory):
    with running(model, tmp_path_factory.mktemp("app")) as app:
        yield app
    assert app.tracebacks() == []
    assert app.uploaded() == []


@pytest.fixture(scope="module")
def files(model, photographs, tmp_path_factory):
    """A file called real and one called fake, which states that a generator made it and holds HTML."""
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    scores = load_detector(model, "cpu").scores([Image.open(photographs[name]).convert("RGB") for name in names])
    assert scores.min() < BAND[0] and scores.max() >= BAND[1]
    fake = tmp_path_factory.mktemp("files") / "fake.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", f"{HOSTILE}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64")
    Image.open(photographs[names[scores.argmax()]]).save(fake, pnginfo=text)
    return {"real": photographs[names[scores.argmin()]], "fake": fake}


@pytest.fixture
def judge(app, visit):
    """Return a function that opens the app with given context options, its first page there."""

    def open_app(**options):
        page = visit(app.url, **options)
        page.wait_for_selector("#picture button[tabindex='0']")
        page.wait_for_function("window.fakelens !== undefined")
        return page

    return open_app


def send(page, path):
    page.set_input_files("#picture input[type=file]", path)


def card(page, title):
    """Wait for a card with a title, and for the maps that come after it; return the card."""
    found = page.locator("#verdict .fl-card", has=page.locator("h2", has_text=re.compile(rf"{title}$")))
    found.wait_for()
    page.wait_for_function("!document.body.innerText.includes('Looking …')")
    return found


def tab(page, name):
    """Open a tab, also one that a narrow screen keeps in its menu."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() == 0 or not tab.first.is_visible():
        page.locator(".overflow-menu > button").last.click()
        page.locator(".overflow-dropdown button", has_text=name).click()
    else:
        tab.first.click()


def test_a_real_and_a_fake_with_all_that_stands_beside_them(app, judge, files, shots):
    page = judge(viewport={"width": 1280, "height": 900})
    send(page, files["real"])
    real = card(page, "Real")
    page.screenshot(path=shots / "real.png", full_page=True)
    assert float(real.locator("[role=meter]").get_attribute("aria-valuenow")) < BAND[0]
    assert page.locator("#verdict").get_attribute("aria-live") == "polite"

    send(page, files["fake"])
    fake = card(page, "Fake")
    assert "at most 5" in fake.inner_text() and "uncertain from 0.40 to 0.60" in fake.locator(
        "[role=meter]"
    ).get_attribute("aria-valuetext")
    overlay = page.locator(".fl-map")
    overlay.wait_for()
    page.locator(".fl-slider input").fill("20")
    assert overlay.evaluate("map => getComputedStyle(map).opacity") == "0.2"
    page.screenshot(path=shots / "fake-where.png", full_page=True)
    tab(page, "Frequencies")
    page.locator("img[alt^=Spectrum]").wait_for()
    assert page.locator("img[alt^='Noise residual']").is_visible()
    page.screenshot(path=shots / "fake-frequencies.png", full_page=True)
    tab(page, "Where it says it comes from")
    page.locator("summary", has_text="Details").click()
    page.screenshot(path=shots / "fake-origin.png", full_page=True)
    assert page.get_by_text(HOSTILE).is_visible() and page.evaluate("window.hacked") is None
    tab(page, "Numbers")
    page.get_by_text("Calibrated probability").wait_for()
    page.screenshot(path=shots / "fake-numbers.png", full_page=True)

    # Another rate is asked of the same image, which the browser sends again.
    page.get_by_label("May be called").click()
    page.get_by_role("option", name="20 %").click()
    page.get_by_text("false-positive rate of 20 %").wait_for()
    # Nothing came from elsewhere, and nothing of what was sent is left.
    assert all(url.startswith((app.url, "data:", "blob:")) for url in page.asked)


def test_an_error_stands_in_the_page_and_the_next_image_works(judge, files, shots, tmp_path):
    page = judge()
    (tmp_path / "text.png").write_text("no image")
    send(page, tmp_path / "text.png")
    assert "not an image" in card(page, "Not judged").inner_text()
    page.screenshot(path=shots / "error.png", full_page=True)
    page.get_by_label("Or an image's address").fill("http://127.0.0.1/secret.png")
    page.get_by_role("button", name="Judge it").click()
    page.get_by_text("address refused").wait_for()
    send(page, files["real"])
    card(page, "Real")


@pytest.mark.timeout(600)
def test_every_other_door(judge, files, shots):
    import base64

    page = judge(permissions=["camera"])
    given = {"data": base64.b64encode(files["fake"].read_bytes()).decode(), "name": "a.png"}
    page.evaluate(
        "({data, name}) => { const sent = new DataTransfer(); sent.items.add(" + FILE + "); "
        "document.querySelector('#picture button').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: sent, bubbles: true, cancelable: true})); }",
        given,
    )
    card(page, "Fake")
    given["data"] = base64.b64encode(files["real"].read_bytes()).decode()
    page.evaluate(
        "({data, name}) => { const sent = new DataTransfer(); sent.items.add(" + FILE + "); "
        "document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: sent, bubbles: true, cancelable: true})); }",
        given,
    )
    card(page, "Real")
    page.get_by_role("button", name="A page of text").click()
    page.get_by_text("document, a drawing, a screenshot").first.wait_for()
    page.screenshot(path=shots / "example.png", full_page=True)
    # By keyboard: the zone can be reached, and opens the system's dialog.
    page.wait_for_function("!document.body.innerText.includes('Looking …')")
    with page.expect_file_chooser() as chooser:
        page.locator("#picture button[aria-dropeffect]").press("Enter")
    chooser.value.set_files(files["fake"])
    card(page, "Fake")
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    # The picture itself is not taken here: a headless browser's made-up camera takes minutes for it on a busy machine.
    page.get_by_label("capture photo").wait_for()
    page.locator("#picture video").wait_for(state="attached")


def test_a_phone_in_the_dark_scrolls_down_alone(judge, files, shots):
    page = judge(**PHONE, color_scheme="dark", reduced_motion="reduce")
    send(page, files["fake"])
    card(page, "Fake")
    page.locator(".fl-map").wait_for()
    page.screenshot(path=shots / "phone-judge.png", full_page=True)
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") != "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#verdict h2").evaluate("title => title.getBoundingClientRect().top") < 740
    for name in ("Batch", "Compare", "About"):
        tab(page, name)
        page.wait_for_timeout(500)
        page.screenshot(path=shots / f"phone-{name.lower()}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    assert page.locator("#in-health").inner_text().endswith("/health")
