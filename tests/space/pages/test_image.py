"""The Image page's parts, and the endpoints for one image on a server in this process; no browser."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from html import escape

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image, PngImagePlugin

from fakelens.inference.detector import load_detector
from fakelens.inference.verdict import FIELDS, Verdict, verdict_sentence
from tests.abuse import make_image
from tests.space.apps import serving

from pages import about, choices, details, examples, models, scale, verdict_card  # isort: skip  # apps.py says where
from server import temporary  # isort: skip

HOSTILE = "<img src=x onerror=alert(1)>"
NAME = "tiny"


@pytest.fixture(scope="module")
def detector(tiny_model):
    detector = load_detector(tiny_model, "cpu")
    detector.model.config.uncertain_band = [0.2, 0.7]
    detector.model.config.fpr_thresholds = {"0.05": 0.7, "0.2": 0.6}
    detector.read_config()
    return detector


@pytest.fixture(scope="module")
def app(detector, tmp_path_factory):
    with serving({NAME: detector}, tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture
def image(tmp_path):
    """An image that says hostile things of itself."""
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", f"{HOSTILE}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 300x200")
    make_image(300, 200).save(tmp_path / "photo.jpg", format="PNG", pnginfo=text)
    return tmp_path / "photo.jpg"


def test_a_card_says_each_thing_once(detector):
    for word, score, title in (("real", 0.1, "Real"), ("uncertain", 0.5, "Uncertain"), ("fake", 0.9, "Fake")):
        said = verdict_sentence(score, detector.thresholds(0.05))
        verdict = Verdict(word, score, said, (HOSTILE,), {}, HOSTILE, (HOSTILE,))
        card = verdict_card.verdict_card(detector, verdict, "data:,", 0.05)
        assert f"</span> {title}</h2>" in card and f">{verdict_card.SIGNS[word]}<" in card
        assert card.count(escape(said)) == 1
        assert len(re.findall(r"[Oo]f 100 photographs", card)) == 1 and "at most 5" in card
        assert card.count("<b style=") == 1 and f">{score:.3f}</b>" in card
        assert "<img src=x" not in card and card.count("&lt;img src=x onerror=alert(1)&gt;") == 3
    assert detector.own_rate == 0.05
    assert "was not measured" in verdict_card.false_alarms(None)
    assert "at most 1 scores as fake" in verdict_card.false_alarms(0.01)
    assert "<img src=x" not in verdict_card.error_card(HOSTILE)


@pytest.mark.parametrize("band", [(0.2, 0.7), (0.2, 0.9999), (0.0001, 0.5), (0.5, 0.5), (0.0, 0.0)])
def test_every_zone_of_the_scale_is_as_wide_as_the_others(detector, band, monkeypatch):
    monkeypatch.setattr(detector, "uncertain_band", band)
    for word, score in (("real", band[0] / 2), ("uncertain", sum(band) / 2), ("fake", (1 + band[1]) / 2)):
        if word != "fake" and band[0] == band[1] == 0 or (word == "uncertain" and band[0] == band[1]):
            continue
        found = scale.zones(detector, word, None)
        at = scale.mark_at(found, word, score)
        number = [zone.word for zone in found].index(word)
        # The mark lies within its zone, which takes an equal part of the width.
        assert number / len(found) < at < (number + 1) / len(found)
        assert [zone.low for zone in found][1:] == [zone.high for zone in found][:-1]
        drawn = scale.scale(detector, word, score)
        assert drawn.count("<li ") == len(found) and drawn.count("fl-here") == 1
        assert 'role="meter"' in drawn and f'aria-valuenow="{score:.4f}"' in drawn and 'aria-valuemax="1"' in drawn
        assert f"{score:.2f}, {word}; " in drawn and f"fake from {band[1]:.2f} to 1.00" in drawn


def test_a_score_never_claims_certainty():
    assert [scale.rounded(score) for score in (0.0, 0.29, 0.9996)] == ["&lt; 0.001", "0.290", "&gt; 0.999"]
    assert [scale.tick(value) for value in (0.0, 0.9788862, 1.0)] == ["0", "0.979", "1"]


def test_false_alarms_are_offered_in_percent_the_models_own_first_and_once(detector):
    assert choices.rates(detector) == [("5 % (default)", choices.OWN), ("20 %", 0.2)]


def test_a_heat_map_lies_over_its_image_and_says_in_words_where():
    ramp = np.tile(np.linspace(0, 1, 90, dtype=np.float32), (60, 1))
    shown = details.where(Image.new("RGB", (90, 60)), ramp, HOSTILE)
    assert shown.count("<img ") == 2 and 'type="range"' in shown and "<img src=x" not in shown
    assert "right speaks most for AI-generated (0.8" in shown and "left most for a photograph (0.1" in shown
    assert "No part" in details.parts_sentence(np.full((9, 9), 0.5))


def test_what_a_file_states_is_escaped_and_kept_apart(detector, image):
    (verdict,) = detector([image])
    table = details.origin(verdict.provenance)
    assert "AI-generated" in table and "&lt;img src=x" in table and "<img src=x" not in table
    assert "none of this enters" in table and "300 × 200 pixels" in table
    numbers = details.numbers({HOSTILE: 0.25}, models.facts(detector))
    assert "&lt;img" in numbers and "0.250000" in numbers and "5 % from 0.700" in numbers
    parameters = sum(p.numel() for p in detector.model.parameters())
    assert f"<dd>{parameters:,}</dd>" in numbers and "CustomCNNForImageClassification" in numbers


def test_a_licence_comes_from_the_models_card(tmp_path):
    assert models.licence(str(tmp_path)) is None
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    assert models.licence(str(tmp_path)) == "cc-by-nc-4.0"


def test_the_examples_teach_one_verdict_each(app):
    """By the model inside the package: a photograph, its reconstruction, and a file that says more than its score."""
    detector = load_detector("patch_lens", "cpu")
    files = [httpx.get(f"{app.url}/examples/{one.file}").content for one in examples.EXAMPLES]
    assert {one.file for one in examples.EXAMPLES} == {path.name for path in examples.FOLDER.iterdir()}
    photograph, reconstruction, signed = detector(files)
    assert [one.verdict for one in (photograph, reconstruction, signed)] == ["real", "fake", "uncertain"]
    assert photograph.provenance["claims"] == () and not photograph.warnings
    assert signed.provenance["signature"] == "untrusted signer"
    assert [(claim["kind"], claim["says"]) for claim in signed.provenance["claims"]] == [("c2pa", "ai")]
    assert httpx.get(f"{app.url}/examples/nothing.png").status_code == 404
    assert httpx.get(f"{app.url}/examples/..%2Fapp.py").status_code == 404
    buttons = examples.example_buttons()
    assert all(f'data-file="{one.file}"' in buttons and one.title in buttons for one in examples.EXAMPLES)


def test_the_endpoint_answers_as_the_command_line_does(app, detector, image):
    client = app.client()
    row = client.predict(handle_file(str(image)), api_name="/classify")
    (verdict,) = detector([image.read_bytes()])
    assert row.keys() == {"name", *FIELDS} - {"path"} and row["name"] == "photo.jpg"
    assert (row["verdict"], row["score"]) == (verdict.verdict, pytest.approx(verdict.score, abs=1e-9))
    assert row["provenance"]["claims"][0]["says"] == "ai" and row["error"] is None
    strict = client.predict(handle_file(str(image)), model=NAME, max_fpr=0.2, api_name="/classify")
    assert strict["score"] == pytest.approx(row["score"]) and strict["sentence"]
    for wrong, words in (({"model": "other"}, "no model 'other'"), ({"max_fpr": 0.001}, "carries: 0.05, 0.2")):
        with pytest.raises(AppError, match=words):
            client.predict(handle_file(str(image)), **wrong, api_name="/classify")
    assert "public internet" in client.predict("http://10.0.0.1/a.png", api_name="/classify_url")["error"]
    assert app.uploaded() == []


def test_only_an_upload_can_be_scored_and_each_has_a_path_of_its_own(app, image, tmp_path):
    secret = tmp_path / "secret.png"
    make_image().save(secret)
    api = f"{app.url}/gradio_api"
    for sent in ({"path": str(secret)}, {"path": f"{app.uploads}/../secret.png"}, {"path": 3}, None, "x", {}):
        event = httpx.post(f"{api}/call/classify", json={"data": [sent, None, None]}).json()["event_id"]
        answer = httpx.get(f"{api}/call/classify/{event}", timeout=60).text
        assert "event: error" in answer and '"score"' not in answer
    assert secret.exists()
    first, second = (
        httpx.post(f"{api}/upload", files={"files": ("a.jpg", image.read_bytes())}).json()[0] for _ in range(2)
    )
    assert first != second
    ask = {"data": [{"path": first, "meta": {"_type": "gradio.FileData"}}, None, None]}
    event = httpx.post(f"{api}/call/classify", json=ask).json()["event_id"]
    assert "event: complete" in httpx.get(f"{api}/call/classify/{event}", timeout=60).text
    assert [str(path) for path in app.uploaded()] == [second]
    temporary.sweep(app.uploads, age=0)
    assert list(app.uploads.iterdir()) == []


def test_the_commands_on_the_about_page_run(app, detector, image, monkeypatch):
    page = about.programs(detector).replace(about.AT, app.url)
    python, rest, mcp, health = (
        page.partition(f'id="in-{name}"><code>')[2].partition("</code>")[0]
        for name in ("python", "rest", "mcp", "health")
    )
    monkeypatch.chdir(image.parent)
    done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True)
    assert done.stdout.split()[0] in ("real", "fake", "uncertain"), done.stderr
    done = subprocess.run(["bash", "-c", rest], capture_output=True, text=True)
    assert "event: complete" in done.stdout and '"verdict"' in done.stdout, done.stdout + done.stderr
    done = subprocess.run(["bash", "-c", health], capture_output=True, text=True)
    state = json.loads(done.stdout)
    assert state["status"] == "ready" and state["models"] == [NAME] and state["scored"] >= 1
    assert asyncio.run(tools(json.loads(mcp)["mcpServers"]["fakelens"]["url"])) >= {"classify", "classify_url"}


async def tools(url):
    """Return the names of an MCP server's tools, each of which must be described."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        found = (await session.list_tools()).tools
        assert all(
            "Tell whether" in tool.description
            for tool in found
            if "classify" in tool.name and "batch" not in tool.name
        )
        (tool,) = (tool.name for tool in found if tool.name.endswith("classify_url"))
        refused = await session.call_tool(tool, {"url": "http://127.0.0.1/"})
        assert "address refused" in str(refused.content)
        return {tool.name.removeprefix("fakelens_") for tool in found}


def test_health_waits_for_the_models(detector):
    from server.health import State

    state = State({NAME: detector})

    def ask():
        return asyncio.run(state.route().endpoint(None)).status_code

    assert ask() == 503
    state.warm_up()
    assert ask() == 200


def test_uploads_go_to_a_private_folder_in_memory_where_there_is_one(monkeypatch):
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    folder = temporary.private_folder()
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert temporary.in_memory(folder) == (temporary.MEMORY in folder.parents)
        old, new = folder / "old", folder / "new"
        for path in (old, new):
            path.write_bytes(b"1")
        os.utime(old, (time.time() - 1000,) * 2)
        temporary.sweep(folder)
        assert new.exists() and not old.exists()
    finally:
        temporary.sweep(folder, age=0)
        folder.rmdir()
