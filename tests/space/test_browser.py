"""The Space that runs in the browser, in Chromium: Python's scores, nothing sent, a message for what goes wrong."""

import base64
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from transformers import ViTImageProcessor

from fakelens.data.decode import MAX_BYTES, decode_image
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from tests.space.conftest import MODELS, png, write

pytestmark = pytest.mark.slow

READ = """async ([base, settings, content]) => {
  const [{ decode }, { buildProcessor }] = await Promise.all(
    ["image.js", "processor.js"].map((name) => import(base + name)));
  const file = new Blob([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))]);
  const { data, dims } = buildProcessor(settings)(await decode(file));
  let text = "";
  for (const byte of new Uint8Array(data.buffer)) text += String.fromCharCode(byte);
  return [btoa(text), dims];
}"""
REFUSAL = """async ([base, settings]) => {
  const { buildProcessor } = await import(base + "processor.js");
  try { buildProcessor(settings); return "taken"; } catch (error) { return error.message; }
}"""
# Where on the page the score's mark points.
MARK = """scale => {
  const { left, width } = scale.getBoundingClientRect();
  return left + width * parseFloat(getComputedStyle(scale).getPropertyValue("--score"));
}"""
GIVE = """async ([how, content]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  if (content) transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
  const detail = { bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer };
  document.body.dispatchEvent(how === "drop" ? new DragEvent("drop", detail) : new ClipboardEvent("paste", detail));
}"""


def answer(page):
    """Return what the page ends with: the score and the verdict, or the message."""
    page.locator("#failure:visible, #result:visible").first.wait_for()
    if page.locator("#failure").is_visible():
        return page.inner_text("#failure")
    return float(page.get_attribute("#score", "value")), page.inner_text("#verdict").lower()


def choose(page, path):
    page.set_input_files("#input", path)
    return answer(page)


def wait_until_ready(page):
    page.get_by_text("Ready. Choose an image.").wait_for()


@pytest.mark.parametrize("kind", MODELS)
def test_scores_and_verdicts_are_pythons_and_nothing_is_sent(spaces, visit, photographs, kind, capsys):
    detector, _, url, seen = spaces[kind]
    page = visit(url)
    wait_until_ready(page)
    asked = len(seen)
    page.context.set_offline(True)  # everything that is needed is there
    paths = list(photographs.values())
    expected = detector(paths)
    scores = np.array([one.score for one in expected])
    assert len({one.verdict for one in expected}) > 1 and np.ptp(scores) > 0.3
    found, said = [], []
    for path in paths:
        found.append(choose(page, path))
        # The headline never stands alone, and no other number beside the sentence's speaks of probability.
        said.append(page.inner_text("#sentence"))
        assert "%" not in page.inner_text("#result") and "robability" not in page.inner_text("#result")
    differences = np.abs([score for score, _ in found] - scores)
    with capsys.disabled():
        print(f"\n{kind}: largest difference {differences.max():.1e} ({paths[differences.argmax()].name})")
    assert differences.max() < 1e-3, dict(zip(photographs, differences, strict=True))
    assert [verdict for _, verdict in found] == [one.verdict for one in expected]
    # A score at the edge of two decimals may be rounded the other way.
    alike = [one == other.sentence for one, other in zip(said, expected, strict=True)]
    assert sum(alike) >= len(paths) - 1 and all(said)
    assert len(seen) == asked and all(one.startswith((url, f"blob:{url}")) for one in page.asked)


SETTINGS = {
    "2x2 crops": {"crop_size": 100, "crops_per_side": 2},
    "3x3 crops": {"crop_size": {"height": 60, "width": 83}, "crops_per_side": 3},
    "one crop": {"crop_size": {"height": 51, "width": 310}},
    "bilinear, smaller": {"size": {"height": 37, "width": 64}},
    "bilinear, larger": {"size": {"height": 700, "width": 700}},
    "bicubic, smaller": {"size": 96, "resample": 3},
    "bicubic, larger": {"size": {"height": 620, "width": 333}, "resample": 3, "do_normalize": False},
    "torch, bilinear": {"size": {"height": 64, "width": 96}, "resample": 2},
    "torch, bicubic": {"size": {"height": 224, "width": 320}, "resample": 3},
    "not rescaled": {"size": 32, "do_rescale": False, "image_mean": [100, 110, 120], "image_std": [50, 60, 70]},
}


def test_pixels_are_the_processors_to_the_bit(spaces, visit, photographs):
    *_, url, _ = spaces["crops"]
    page = visit(url, bypass_csp=True)  # for the test's own code
    for name, settings in SETTINGS.items():
        native = "crop_size" in settings
        processor = (
            ViTImageProcessor(**settings)
            if name.startswith("torch")
            else DetectorImageProcessor(**{"do_resize": not native, "do_native_crop": native, **settings})
        )
        for photograph in ("small.png", "chelsea.jpg", "turned-8.webp", "veiled.webp"):
            content = photographs[photograph].read_bytes()
            text, dims = page.evaluate(
                READ, [url, json.loads(processor.to_json_string()), base64.b64encode(content).decode()]
            )
            expected = processor(decode_image(content).image, return_tensors="pt")["pixel_values"].numpy()
            assert list(expected.shape) == dims, (name, photograph)
            found = np.frombuffer(base64.b64decode(text), np.float32).reshape(dims)
            # A level is 0.004 / 0.229 at least: rounding of float32 alone is left.
            assert np.abs(found - expected).max() < 1e-4, (name, photograph)


def test_settings_that_the_page_does_not_know_are_refused(spaces, visit):
    *_, url, _ = spaces["crops"]
    page = visit(url, bypass_csp=True)
    good = json.loads(DetectorImageProcessor().to_json_string())
    assert page.evaluate(REFUSAL, [url, good]) == "taken"
    for settings, words in (
        ({"image_processor_type": "EnsembleImageProcessor"}, "image_processor_type is EnsembleImageProcessor"),
        ({"resample": 1}, "resample is 1, not 2 (bilinear) or 3 (bicubic)"),
        ({"size": {"shortest_edge": 224}}, 'size is {"shortest_edge":224}'),
        ({"do_center_crop": True}, "do_center_crop is true"),
        ({"do_pad": True}, "do_pad is true"),
        ({"do_native_crop": True}, "exactly one of do_resize and do_native_crop"),
        ({"image_mean": [0.5]}, "image_mean is [0.5]"),
    ):
        assert words in page.evaluate(REFUSAL, [url, good | settings])


def test_each_thing_that_goes_wrong_has_its_message_and_the_page_lives_on(spaces, visit, photographs, tmp_path):
    detector, folder, url, _ = spaces["crops"]
    page = visit(url)
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    broken = write(tmp_path / "broken.png", photographs["coffee.png"].read_bytes()[:20_000])
    for path, words in (
        (write(tmp_path / "text.png", b"no image"), "not an image"),
        (broken, "is damaged"),
        (write(tmp_path / "empty.png", b""), "is empty"),
        (write(tmp_path / "tiny.png", png(Image.new("RGB", (7, 30)))), "too small: 7 x 30 pixels; at least 8 x 8"),
        (
            write(tmp_path / "wide.png", png(Image.new("1", (60_000, 2_001)))),
            "too large: 60000 x 2001 pixels; at most",
        ),
        (huge, "at most 200 MiB"),
    ):
        assert words in choose(page, path)
    assert choose(page, photographs["small.png"])[1] == detector([photographs["small.png"]])[0].verdict


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("model/model.onnx", None, "model/model.onnx is missing"),
        ("model/config.json", '{"id2label": {"0": "cat", "1": "dog"}}', "none is known as that of real images"),
        ("model/model.onnx", "no model", "The model does not load"),
        ("onnxruntime/ort.wasm.bundle.min.mjs", None, "The detector does not start"),
    ],
)
def test_a_space_that_was_not_built_whole_says_so(spaces, visit, serve, tmp_path, name, content, words):
    shutil.copytree(spaces["crops"][1], tmp_path / "space")
    part = tmp_path / "space" / name
    part.unlink() if content is None else part.write_text(content)
    page = visit(serve(tmp_path / "space")[0])
    assert words in answer(page)


def test_browsers_that_cannot_score_say_why(spaces, visit):
    *_, url, _ = spaces["crops"]
    page = visit(url, lambda page: page.add_init_script("delete globalThis.WebAssembly"))
    assert "WebAssembly switched off" in answer(page)
    noise = """{
      const { prototype } = OffscreenCanvasRenderingContext2D, read = prototype.getImageData;
      prototype.getImageData = function (...area) {
        const all = read.apply(this, area);
        all.data[5] ^= 1;
        return all;
      };
    }"""
    assert "changes the pixels" in answer(visit(url, lambda page: inject(page, "worker.js", noise)))


def inject(page, name, code):
    """Let a script of the page begin with further code: what a bug or a bad dependency might do."""

    def change(route):
        response = route.fetch()
        route.fulfill(response=response, body=code + response.text())

    page.route(f"**/{name}", change)


@pytest.mark.parametrize("name", ["page.js", "worker.js"])
def test_neither_the_page_nor_its_worker_can_reach_another_host(spaces, visit, serve, tmp_path, name):
    *_, url, _ = spaces["crops"]
    other, seen = serve(tmp_path)
    tell = "hear(reply)" if name == "page.js" else "postMessage(reply)"
    code = f"""
      fetch("{other}", {{ method: "POST", body: "pixels", mode: "no-cors" }})
        .then(() => "sent", () => "refused").then((word) => {{ const reply = {{ error: word }}; {tell}; }});"""
    page = visit(url, lambda page: inject(page, name, code))
    assert answer(page) == "refused" and seen == []


def test_images_can_be_dropped_pasted_and_chosen_by_keyboard_before_the_detector_is_there(spaces, visit, photographs):
    detector, _, url, _ = spaces["resized"]
    content = photographs["coffee.png"].read_bytes()
    expected = detector([content])[0]
    for how in ("drop", "paste"):
        page = visit(url, bypass_csp=True)  # for the test's own code
        page.evaluate(GIVE, [how, base64.b64encode(content).decode()])
        score, verdict = answer(page)
        assert score == pytest.approx(expected.score, abs=1e-3) and verdict == expected.verdict
        assert page.get_by_alt_text("The chosen image, given.png").is_visible()
        page.evaluate(GIVE, [how, ""])
        assert "That was no file" in answer(page)
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photographs["coffee.png"])
    assert answer(page)[1] == expected.verdict
    labelled = page.get_by_label("Choose an image")
    assert labelled.get_attribute("type") == "file" and page.get_by_role("heading", level=2).inner_text()


@pytest.mark.parametrize("scheme, width", [("light", 360), ("dark", 390), ("light", 1100)])
def test_everything_fits_on_phones_and_desktops(spaces, visit, photographs, tmp_path, scheme, width):
    *_, url, _ = spaces["resized"]
    page = visit(url, viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    wait_until_ready(page)
    choose(page, photographs["astronaut.jpg"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "Nothing leaves this machine" in page.inner_text("#private")
    zones = page.locator("#zones li")
    assert zones.all_inner_texts() == ["Real", "Uncertain", "Fake"]
    widths = [zone.bounding_box()["width"] for zone in zones.all()]
    assert max(widths) - min(widths) < 2
    here = page.locator("#zones .here")
    assert here.inner_text() == page.inner_text("#verdict")
    mark, box = page.locator("#scale").evaluate(MARK), here.bounding_box()
    assert box["x"] < mark < box["x"] + box["width"]
    assert f"{here.inner_text().lower()}; real from 0.00 to 0.40" in page.locator("#scale").get_attribute(
        "aria-valuetext"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 28)"}[scheme]
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)


def test_the_script_refuses_what_would_not_work(spaces, space_script, tmp_path):
    exported = spaces["crops"][1].parent / "onnx"
    space = spaces["crops"][1]

    def build(model, output):
        space_script.main(space_script.BrowserSpaceArguments(str(model), str(output)))

    with pytest.raises(UserError, match=r"There is no .*model\.onnx.*scripts/export\.py"):
        build(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="holds something else"):
        build(exported, exported)
    with pytest.raises(UserError, match="holds something else"):
        build(space / "model", space)  # would remove the model
    shutil.copytree(exported, tmp_path / "ensemble")
    (tmp_path / "ensemble" / "preprocessor_config.json").write_text(
        '{"image_processor_type": "EnsembleImageProcessor"}'
    )
    with pytest.raises(UserError, match="EnsembleImageProcessor, which the page cannot run"):
        build(tmp_path / "ensemble", tmp_path / "out")
    build(exported, tmp_path / "again")
    (tmp_path / "again" / "stale").touch()
    build(exported, tmp_path / "again")
    assert not (tmp_path / "again" / "stale").exists() and not (tmp_path / "again" / "node_modules").exists()
    assert "sdk: static" in (tmp_path / "again" / "README.md").read_text()
