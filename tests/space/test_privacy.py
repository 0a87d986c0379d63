"""What the app leaves of an image: nothing among its uploads, nor in its user's home, folder or temporary files."""

import os

import httpx
from gradio_client import handle_file

from tests.abuse import make_image
from tests.space.apps import running


def test_no_file_of_an_image_is_left_anywhere(tiny_model, tmp_path, monkeypatch):
    folders = {name: tmp_path / name for name in ("home", "here", "temporary", "app")}
    for one in folders.values():
        one.mkdir()
    monkeypatch.setenv("HOME", str(folders["home"]))
    monkeypatch.setenv("TMPDIR", str(folders["temporary"]))
    make_image(90, 70, 5).save(tmp_path / "secret.png")
    data = (tmp_path / "secret.png").read_bytes()
    monkeypatch.chdir(folders["here"])
    with running(tiny_model, folders["app"]) as app:
        client = app.client()
        assert client.predict(handle_file(tmp_path / "secret.png"), api_name="/classify")["error"] is None
        (row,) = client.predict([handle_file(tmp_path / "secret.png")], api_name="/classify_batch")
        assert row["verdict"]
        client.predict(handle_file(tmp_path / "secret.png"), api_name="/stability")
        assert httpx.get(f"{app.url}/health").json()["scored"] >= 2
        for one in folders.values():
            for folder, _, files in os.walk(one):
                for name in files:
                    with open(os.path.join(folder, name), "rb") as file:
                        found = file.read()
                    assert data[60:400] not in found and "secret" not in name, os.path.join(folder, name)
        assert app.uploaded() == []
