"""The app in headless Chromium: an image in by every door, each tab, an error, a phone, dark; screenshots are kept.

They go to `$FAKELENS_SCREENSHOTS`, or to pytest's own folder.
"""

import base64
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
    """A detector that predicts one of the photographs real and another one fake."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "small"
    network, processor = build_detector("custom_cnn", **SMALL_CNN), build_processor("custom_cnn", 64)
    images = [Image.open(photographs[name]) for name in ("chelsea.png", "coffee.png", "astronaut.png")]
    spread(network, torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images]))
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
    """A file predicted real and one predicted fake, which states that a generator made it and holds HTML."""
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    scores = load_detector(model, "cpu").scores([Image.open(photographs[name]).convert("RGB") for name in names])
    assert scores.min() < BAND[0] and scores.max() >= BAND[1]
    fake = tmp_path_factory.mktemp("files") / "fake.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", f"{HOSTILE}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64")
    Image.open(photographs[names[scores.argmax()]]).save(fake, pnginfo=text)
    return {"real": photographs[names[scores.argmin()]], "fake": fake}


@pytest.fixture
def visited(app, visit):
    """Return a function that opens the app with given context options, its first page there."""

    def open_app(**options):
        page = visit(app.url, **options)
        page.wait_for_selector("#zone-image")
        page.wait_for_function("window.fakelens !== undefined")
        return page

    return open_app


def send(page, path, zone="image"):
    page.locator(f"#zone-{zone} input[type=file]").first.set_input_files(path)


def card(page, title):
    """Wait for a card with a title, and for the maps that come after it; return the card."""
    found = page.locator("#verdict .fl-card", has=page.locator("h2", has_text=re.compile(rf"{title}$")))
    found.wait_for()
    page.wait_for_function("!document.querySelector('.fl-is-busy')")
    return found


def tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def test_a_real_and_a_fake_with_all_that_stands_beside_them(app, visited, files, shots):
    page = visited(viewport={"width": 1280, "height": 900})
    # Before an image there is nothing to press that needs one, and nothing empty.
    assert page.get_by_role("tab").all_inner_texts() == ["Image", "Batch", "Compare", "About"]
    assert not page.get_by_role("button", name="Slower").is_visible()
    assert page.get_by_text("deleted from this server as soon as it is scored").first.is_visible()
    assert page.get_by_label("Allowed false alarms").input_value() == "5 % (default)"
    coloured = page.locator("#zone-image .fl-primary")
    assert coloured.inner_text() == "Choose an image"
    assert coloured.evaluate("button => getComputedStyle(button).backgroundColor") == "rgb(59, 70, 196)"
    page.screenshot(path=shots / "first.png", full_page=True)

    send(page, files["real"])
    real = card(page, "Real")
    page.screenshot(path=shots / "real.png", full_page=True)
    assert float(real.locator("[role=meter]").get_attribute("aria-valuenow")) < BAND[0]
    assert page.locator("#fl-live").inner_text().startswith("Real. Probably a photograph")
    widths = [zone.bounding_box()["width"] for zone in real.locator(".fl-bar-of-zones li").all()]
    assert len(widths) == 3 and max(widths) - min(widths) < 2

    send(page, files["fake"])
    fake = card(page, "Fake")
    assert fake.inner_text().count("at most 5") == 1
    assert "uncertain from 0.40 to 0.60" in fake.locator("[role=meter]").get_attribute("aria-valuetext")
    overlay = page.locator(".fl-map")
    overlay.wait_for()
    page.locator(".fl-slider input").fill("20")
    assert overlay.evaluate("map => getComputedStyle(map).opacity") == "0.2"
    page.screenshot(path=shots / "fake-where.png", full_page=True)
    tab(page, "Frequencies")
    page.locator("img[alt^=Spectrum]").wait_for()
    assert page.locator("img[alt^='Noise residual']").is_visible()
    page.screenshot(path=shots / "fake-frequencies.png", full_page=True)
    tab(page, "Origin")
    page.locator("summary", has_text="Details").click()
    page.screenshot(path=shots / "fake-origin.png", full_page=True)
    assert page.get_by_text(HOSTILE).is_visible() and page.evaluate("window.hacked") is None
    tab(page, "Numbers")
    page.get_by_text("Calibrated probability").wait_for()
    page.screenshot(path=shots / "fake-numbers.png", full_page=True)

    # Another rate is asked of the same image, which the browser sends again.
    page.get_by_label("Allowed false alarms").first.click()
    page.get_by_role("option", name="20 %").click()
    page.get_by_text("at most 20").first.wait_for()
    # Nothing came from elsewhere, and nothing of what was sent is left.
    assert all(url.startswith((app.url, "data:", "blob:")) for url in page.asked)


def test_an_error_stands_in_the_page_and_the_next_image_works(visited, files, shots, tmp_path):
    page = visited()
    (tmp_path / "text.png").write_text("no image")
    send(page, tmp_path / "text.png")
    assert "not an image" in card(page, "Not scored").inner_text()
    assert not page.get_by_role("tab", name="Numbers").is_visible()
    page.screenshot(path=shots / "error.png", full_page=True)
    page.get_by_label("Or an image's address").fill("http://127.0.0.1/secret.png")
    page.get_by_role("button", name="Check", exact=True).click()
    page.locator("#verdict").get_by_text("address refused").wait_for()
    # What the browser cannot send is an error in the page, too.
    page.route("**/upload", lambda route: route.fulfill(status=413, body="too large, says the server"))
    send(page, files["real"])
    page.locator("#verdict").get_by_text("too large, says the server").wait_for()
    page.unroute("**/upload")
    send(page, files["real"])
    card(page, "Real")


def given(path):
    """Return a file as the page's own scripts make one of it."""
    return {"data": base64.b64encode(path.read_bytes()).decode(), "name": "a.png"}


@pytest.mark.timeout(600)
def test_every_other_door(visited, files, shots):
    page = visited(permissions=["camera"])
    page.evaluate(
        "({data, name}) => { const sent = new DataTransfer(); sent.items.add(" + FILE + "); "
        "document.querySelector('#zone-image button').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: sent, bubbles: true, cancelable: true})); }",
        given(files["fake"]),
    )
    card(page, "Fake")
    page.evaluate(
        "({data, name}) => { const sent = new DataTransfer(); sent.items.add(" + FILE + "); "
        "document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: sent, bubbles: true, cancelable: true})); }",
        given(files["real"]),
    )
    card(page, "Real")
    page.get_by_role("button", name="A file that says so").click()
    page.wait_for_function("!document.querySelector('.fl-is-busy')")
    tab(page, "Origin")
    page.get_by_text("C2PA content credentials, signed").wait_for()
    page.screenshot(path=shots / "example.png", full_page=True)
    # By keyboard: the zone's button opens the system's dialog.
    with page.expect_file_chooser() as chooser:
        page.locator("#zone-image .fl-primary").press("Enter")
    chooser.value.set_files(files["fake"])
    card(page, "Fake")
    before = page.locator("#verdict figure img").get_attribute("src")
    page.locator("#zone-image").get_by_role("button", name="Take a photo").click()
    page.get_by_role("dialog").get_by_role("button", name="Take the photo").click()
    page.wait_for_function(
        "before => document.querySelector('#verdict figure img')?.getAttribute('src') !== before", arg=before
    )
    assert page.get_by_role("dialog").count() == 0


def test_a_phone_in_the_dark_shows_the_verdict_first_and_hides_no_page(visited, files, shots):
    page = visited(**PHONE, color_scheme="dark", reduced_motion="reduce")
    send(page, files["fake"])
    card(page, "Fake")
    page.locator(".fl-map").wait_for()
    page.screenshot(path=shots / "phone-image.png", full_page=True)
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") != "rgb(255, 255, 255)"
    top = {name: page.locator(name).first.evaluate(TOP) for name in ("#verdict h2", "#verdict figure", "#zone-image")}
    assert top["#verdict h2"] < top["#verdict figure"] < top["#zone-image"] and top["#verdict h2"] < 740
    # All tabs can be pressed without a menu, the page's own and those beside the verdict.
    assert page.locator(".overflow-menu:visible").count() == 0
    for name in ("Heat map", "Frequencies", "Origin", "Numbers"):
        assert page.get_by_role("tab", name=name, exact=True).is_visible()
    for name in ("Image", "Batch", "Compare", "About"):
        tab(page, name)
        page.wait_for_timeout(500)
        page.screenshot(path=shots / f"phone-{name.lower()}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert page.evaluate(SMALL) == [], name
    assert page.locator("#in-health").inner_text().endswith("/health")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_ring_of_focus_is_whole_wherever_the_keyboard_goes(visited, files, width):
    page = visited(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    send(page, files["real"])
    card(page, "Real")
    page.locator(".fl-map").wait_for()
    cut, seen = [], set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name, is_whole = page.evaluate(RING)
        seen.add(name)
        if not is_whole:
            cut.append(name)
    assert not cut and len(seen) > 12


# How far from the page's top an element begins.
TOP = "one => one.getBoundingClientRect().top"
# What can be pressed and is lower than 44 pixels; links within sentences apart.
SMALL = """() => [...document.querySelectorAll("button, a, select, summary, input")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((one) => !one.matches("p a, li a, dd a, [type=file], [aria-hidden=true] *, .fl-hidden *"))
  .map((one) => [one.outerHTML.slice(0, 90), one.getBoundingClientRect()])
  .filter(([, box]) => box.width > 1 && box.height < 43.5)
  .map(([html, box]) => `${Math.round(box.height)}: ${html}`)"""
# The focused element, and whether the outline of its focus lies within all that clips it.
RING = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const reach = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth);
  const name = `${one.tagName} ${one.getAttribute("aria-label") || one.textContent.trim().slice(0, 30)}`;
  if (one === document.body) return [name, true];
  let isWhole = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  for (let node = one.parentElement; node && node !== document.body; node = node.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(node), edge = node.getBoundingClientRect();
    if (overflowX !== "visible") isWhole &&= box.left - reach >= edge.left - 1 && box.right + reach <= edge.right + 1;
    if (overflowY !== "visible") isWhole &&= box.top - reach >= edge.top - 1 && box.bottom + reach <= edge.bottom + 1;
  }
  return [name, isWhole];
}"""
