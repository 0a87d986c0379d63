"""The Space as a Hub Space runs it: `python app.py` in a process of its own, asked through `gradio_client`."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.abuse import make_image

APP = Path(__file__).parents[2] / "space" / "app.py"


@pytest.fixture(scope="module")
def client(tiny_model, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"FAKELENS_MODEL": str(tiny_model), "GRADIO_SERVER_PORT": str(port)}
    log = tmp_path_factory.mktemp("space") / "log"
    with log.open("w") as out:
        app = subprocess.Popen([sys.executable, APP], env=environment, stdout=out, stderr=out)
    try:
        for _ in range(120):
            try:
                yield Client(f"http://127.0.0.1:{port}", verbose=False)
                break
            except (ValueError, OSError, httpx.HTTPError):
                assert app.poll() is None, log.read_text()
                time.sleep(1)
        else:
            pytest.fail(f"the app did not start: {log.read_text()}")
    finally:
        app.terminate()
        app.wait(60)


def test_an_image_gets_the_score_of_the_pipeline(client, tiny_model, tmp_path):
    from transformers import pipeline

    make_image().save(tmp_path / "a.png")
    answer = client.predict(handle_file(tmp_path / "a.png"), api_name="/classify")
    local = pipeline("image-classification", model=str(tiny_model), trust_remote_code=True)
    expected = {row["label"]: row["score"] for row in local(str(tmp_path / "a.png"))}
    assert answer["score"] == pytest.approx(expected["fake"], abs=2e-3) and answer["error"] is None
    assert answer["verdict"] == ("fake" if answer["score"] >= 0.5 else "real")


def test_bad_images_get_a_message_and_the_app_lives_on(client, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    make_image(4, 4).save(tmp_path / "small.png")
    for name, words in (("small.png", "at least 8 x 8"), ("text.png", "not an image")):
        answer = client.predict(handle_file(tmp_path / name), api_name="/classify")
        assert words in answer["error"] and answer["verdict"] is None and answer["name"] == name
    make_image().save(tmp_path / "good.png")
    assert client.predict(handle_file(tmp_path / "good.png"), api_name="/classify")["verdict"] in ("real", "fake")
