import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from fakelens.cli.app import app
from tests.abuse import make_image, write_cases

FAKELENS = Path(sys.executable).with_name("fakelens")


def run(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def rows_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abuse")
    write_cases(folder)
    return folder


def test_nothing_but_json_on_standard_output(folder, tiny_model):
    """The real command in a process of its own: bars, warnings and logs go elsewhere."""
    names = [folder / "plain.jpg", folder / "text.jpg"]
    command = [FAKELENS, *names, "--model", tiny_model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == [str(n) for n in names]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_scores_are_the_pipelines(folder, tiny_model):
    from transformers import pipeline

    classifier = pipeline("image-classification", model=str(tiny_model), trust_remote_code=True)
    expected = {row["label"]: row["score"] for row in classifier(str(folder / "plain.jpg"))}["fake"]
    row = rows_of(run(folder / "plain.jpg", "--model", tiny_model, "--json"))[0]
    assert row["score"] == pytest.approx(expected, abs=1e-6)


def test_folder_is_walked_and_stdin_is_read(tmp_path, tiny_model):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    make_image(seed=1).save(tmp_path / "deep" / "er" / "b.png")
    make_image(seed=2).save(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("not an image, and not looked at")
    (tmp_path / ".thumbnails").mkdir()
    make_image().save(tmp_path / ".thumbnails" / "hidden.png")
    result = run(tmp_path, "--model", tiny_model, "--json")
    assert [Path(row["path"]).name for row in rows_of(result)] == ["a.jpg", "b.png"]
    assert result.exit_code == 0
    listed = run("-", "--model", tiny_model, "--json", stdin=f"{tmp_path / 'a.jpg'}\n\n{tmp_path / 'deep'}\n")
    assert [Path(row["path"]).name for row in rows_of(listed)] == ["a.jpg", "b.png"]


def test_csv_has_a_header_and_one_line_an_input(folder, tiny_model):
    result = run(folder / "plain.jpg", folder / "text.jpg", "--model", tiny_model, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [bool(row["error"]) for row in rows] == [False, True]
    assert float(rows[0]["score"]) >= 0


def test_a_zip_is_its_images(tmp_path, folder, tiny_model):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as opened:
        for name in ("plain.jpg", "text.jpg"):
            opened.write(folder / name, f"inner/{name}")
    (tmp_path / "broken.zip").write_text("words")
    result = run(
        tmp_path / "photos.zip", tmp_path / "broken.zip", folder / "plain.jpg", "--model", tiny_model, "--json"
    )
    packed, text, broken, plain = rows_of(result)
    assert packed["path"] == f"{tmp_path}/photos.zip/inner/plain.jpg" and result.exit_code == 1
    assert packed["score"] == plain["score"] and packed["provenance"] == plain["provenance"]
    assert "not an image" in text["error"] and "not a zip" in broken["error"]


def test_figures_are_saved_to_a_file_or_a_folder(tmp_path, folder, tiny_model):
    options = ["--model", tiny_model, "--json", "--save"]
    (row,) = rows_of(run(folder / "plain.jpg", *options, tmp_path / "new" / "out.png"))
    assert row["figure"] == str(tmp_path / "new" / "out.png")
    with Image.open(row["figure"]) as figure:
        assert figure.format == "PNG" and figure.width > 900
    # Two of one name, and one that cannot be scored.
    names = [folder / "plain.jpg", folder / "text.jpg", folder / "plain.jpg"]
    first, bad, second = rows_of(run(*names, *options, tmp_path / "figures"))
    assert Path(first["figure"]).is_file() and Path(second["figure"]).is_file() and "figure" not in bad
    assert first["figure"] != second["figure"] and len(list((tmp_path / "figures").iterdir())) == 2


@pytest.mark.parametrize("display", [True, False])
def test_figures_are_shown_where_there_is_a_display(tmp_path, folder, tiny_model, monkeypatch, display):
    """The desktop's own viewer is the one thing replaced."""
    opened = []
    monkeypatch.setattr(typer, "launch", lambda path: opened.append(Path(path)) or 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0") if display else monkeypatch.delenv("DISPLAY", raising=False)
    result = run(folder / "plain.jpg", "--model", tiny_model, "--json", "--visualize")
    figure = Path(rows_of(result)[0]["figure"])
    assert figure.is_file() and tmp_path in figure.parents and str(figure) in result.stderr
    assert opened == ([figure] if display else []) and ("no display" in result.stderr) == (not display)
    run(folder / "plain.jpg", folder / "cmyk.jpg", "--model", tiny_model, "--visualize", "--save", tmp_path / "two")
    assert opened[1:] == ([tmp_path / "two"] if display else [])  # not a window for each


def test_heat_maps_are_written_for_what_was_scored(tmp_path, folder, tiny_model):
    names = [folder / "plain.jpg", folder / "text.jpg"]
    result = run(*names, "--model", tiny_model, "--json", "--heatmap", tmp_path / "maps")
    good, bad = rows_of(result)
    assert Path(good["heatmap"]).is_file() and "heatmap" not in bad
    assert [p.name for p in (tmp_path / "maps").iterdir()] == ["plain.jpg.heatmap.png"]


@pytest.fixture
def web():
    """A web server with one image; every other address is a 404."""
    file = io.BytesIO()
    make_image().save(file, format="PNG")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802  the name that http.server asks for
            self.send_response(200 if self.path == "/a.png" else 404)
            self.end_headers()
            if self.path == "/a.png":
                self.wfile.write(file.getvalue())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_addresses_are_fetched(web, tiny_model):
    result = run(f"{web}/a.png", f"{web}/b.png", "http://127.0.0.1:9/c.png", "--model", tiny_model, "--json")
    good, missing, unreachable = rows_of(result)
    assert good["verdict"] and good["provenance"]["format"] == "PNG"
    assert "404" in missing["error"] and "download failed" in unreachable["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "no/where/at/all"], "There is no model at no/where/at/all"),
        (["--model", "runs/demo/model"], "leave --model out for patch_lens"),
        (["--model", "TINY", "--max-fpr", "0.05"], "not calibrated"),
        (["--model", "TINY", "--max-fpr", "7"], "between 0 and 1"),
        (["--model", "TINY", "--device", "quantum"], "Device 'quantum'"),
        (["--model", "TINY", "--json", "--csv"], "not both"),
        (["y.jpg", "--model", "TINY", "--save", "out.png"], "out.png names one file, and there are 2 images"),
        (["--model", "TINY", "--save", "out.gif"], "cannot be written as .gif; say one of .jpeg, .jpg"),
        (["--model", "TINY", "--save", "file/out"], "file/out cannot be made"),
        (["--model", "TINY", "--heatmap", "file"], "file cannot be made"),
    ],
)
def test_wrong_calls_end_with_one_message_and_exit_2(tmp_path, monkeypatch, tiny_model, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    result = run("x.jpg", *[str(tiny_model) if a == "TINY" else a for a in arguments])
    assert result.exit_code == 2
    assert message in result.stderr and result.stdout == ""


def test_help_shows_an_example_and_the_verb():
    result = run("--help")
    assert result.exit_code == 0 and "Example: fakelens" in result.stdout and "\n  models  " in result.stdout
    assert "--heatmap" in result.stdout and "--install-completion" in result.stdout
    verb = run("models", "--help")
    assert verb.exit_code == 0 and "models [OPTIONS]" in verb.stdout
    assert "--runs" in verb.stdout and "--heatmap" not in verb.stdout
    assert run("models", "--heatmap", "x").exit_code == 2


def test_a_file_called_as_the_verb_is_reached_all_the_same(tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_image().save("models", format="PNG")
    for arguments in (["./models"], ["--", "models"], ["--json", "models"]):
        (row,) = rows_of(run("--model", tiny_model, *arguments))
        assert row["path"] == "models" and row["verdict"]


@pytest.mark.parametrize(("words", "found"), [("fakelens --vis", "--visualize"), ("fakelens models --r", "--runs")])
def test_shells_complete_options(words, found):
    environment = os.environ | {"_FAKELENS_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split()) - 1)
    done = subprocess.run([FAKELENS], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [found]


def test_what_the_file_states_and_where_it_is_out_of_its_depth_stand_beside_the_score(tmp_path, tiny_model):
    from PIL.PngImagePlugin import PngInfo

    stated = PngInfo()
    stated.add_text("parameters", "a harbour at dusk\nSteps: 20, Sampler: Euler a, Model: dreamshaper_8")
    image = make_image(seed=3).resize((64, 64))
    image.save(tmp_path / "stated.png", pnginfo=stated)
    image.save(tmp_path / "plain.png")
    row, plain = rows_of(run(tmp_path / "stated.png", tmp_path / "plain.png", "--model", tiny_model, "--json"))
    assert row["score"] == plain["score"]  # what a file states is never part of it
    assert {claim["says"] for claim in row["provenance"]["claims"]} == {"ai"}
    assert plain["provenance"]["claims"] == []
    assert bool(row["disagreement"]) == (row["verdict"] == "real")
    assert row["sentence"].endswith(".") and any("64" in warning for warning in row["warnings"])
