"""The reference systems' protocols at tiny size: sets are drawn, all parts run, once, and go on after a kill."""

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fakelens.data.sources.opening import content_id, open_source
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.training.data.examples import held_out
from tests.conftest import SCRIPTS, load_script
from tests.readme import ROOT
from tests.tiny_data import write_tiny_data

FOLDER = SCRIPTS.parent / "benchmarks" / "reproduce"
BACKBONE = "test_efficientnet"  # timm's smallest
SIBLINGS = ("beside", "ensemble", "projection", "protocols", "sets", "table", "work")


@pytest.fixture(scope="module")
def programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # as Python does for `python benchmarks/reproduce/reproduce.py`
        script = load_script("reproduce", FOLDER)
        yield SimpleNamespace(reproduce=script, **{name: sys.modules[name] for name in SIBLINGS})
        for name in SIBLINGS:
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("data") / "tiny", {"train": 64, "validation": 20, "test": 20})


def contents(rows):
    return [content_id(row["image"]) for row in rows]


def run(programs, data, output, system, *options):
    words = [system, "--data", str(data), "--output", str(output), *options]
    programs.reproduce.main(programs.reproduce.make_parser().parse_args(words))
    return json.loads((output / system / "result.json").read_text())


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    """Weights of a small backbone, as timm keeps them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_file(timm.create_model(BACKBONE, num_classes=0).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def smoke(programs, data, backbone_file, tmp_path_factory):
    """A system's smoke run, its folder and its result: run once for all tests, or `again` in the same folder."""
    output, found = tmp_path_factory.mktemp("smoke"), {}
    options = {
        "s0": ["--unseen_split", "validation"],
        "s1": ["--fakes", "checker"],
        "s2": ["--test_split", "validation", "--unseen_split", "test"]
        + ["--backbone", BACKBONE, "--weights", str(backbone_file)],
        "s3": ["--unseen_split", "test", "--backbone", "tf_efficientnet_lite0"],
        "s4": ["--unseen_split", "test", "--ablate", "efficientnet_b0"],
    }

    def of(system, *more, again=False):
        if again or system not in found:
            words = ["--smoke", "--per_class", "12", *options[system], *more]
            found[system] = run(programs, data, output, system, *words)
        return output / system, found[system]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each of two processes would get of two: the results are to be the same
    yield of
    torch.set_num_threads(threads)


def test_the_same_images_are_drawn_whatever_the_shards(programs, data, tmp_path):
    other = write_tiny_data(tmp_path / "other", {"train": 64}, shards=4)
    drawn = [programs.sets.Draw([str(one)], per_class=9).rows("train", set()) for one in (data, other)]
    assert contents(drawn[0]) == contents(drawn[1]) and len(drawn[0]) == 18
    assert sum(row["label"] == "real" for row in drawn[0]) == 9
    again = programs.sets.Draw([str(data)], per_class=9, seed=7).rows("train", set())
    assert set(contents(again)) != set(contents(drawn[0]))


def test_the_draw_does_not_choose_what_recipes_hold_out(programs, data):
    drawn = contents(programs.sets.Draw([str(data)], per_class=12, seed=42).rows("train", set()))
    assert 0 < sum(held_out(content, 0.3, 42) for content in drawn) < len(drawn) / 2


def test_no_image_is_drawn_for_two_splits(programs, data):
    draw, taken = programs.sets.Draw([str(data), str(data)], per_class=10), set()
    first, second = draw.rows("train", taken), draw.rows("train", taken)
    assert len(set(contents(first))) == 20 and not set(contents(first)) & set(contents(second))
    every = {content_id(row["image"]) for row in read(open_source(str(data), "train"))}
    with pytest.raises(UserError, match="'train' of .* has no real image"):
        programs.sets.Draw([str(data)]).rows("train", every)


def test_generators_are_chosen_and_classes_balanced(programs, data):
    rows = programs.sets.Draw([str(data)], fakes=["checker"], is_balanced=True).rows("train", set())
    fakes = [row for row in rows if row["label"] == "fake"]
    assert {row["model"] for row in fakes} == {"checker"} and len(rows) == 2 * len(fakes) == 32


def test_images_are_brought_to_size_and_augmented_copies_are_changed(programs, data):
    rows = programs.sets.Draw([str(data)], side=32).rows("train", set())
    train, validation = programs.sets.split_in_two(rows, 0.25, 42)
    assert sum(row["label"] == "fake" for row in validation) == 8 and len(train) == 48
    copies = programs.sets.augmented(train, 10, [{"name": "rotation", "degrees": 10, "p": 0.01}], 1)
    images = [Image.open(io.BytesIO(row["image"]["bytes"])) for row in (*rows, *copies)]
    assert {(image.size, image.format) for image in images} == {((32, 32), "PNG")}
    assert len({row["id"] for row in copies}) == 10 and not set(contents(copies)) & set(contents(rows))


@pytest.mark.slow
@pytest.mark.parametrize(("system", "rows"), [("s0", 6), ("s1", 4), ("s2", 9), ("s3", 2), ("s4", 13)])
def test_a_systems_protocol_runs_and_is_not_repeated(smoke, system, rows):
    folder, result = smoke(system)
    splits = {"s1": ["test"], "s4": ["validation", "unseen"]}.get(system, ["test", "unseen"])
    assert len(result["rows"]) == rows and not result["is_full_length"]
    assert all(list(row["ours"]) == splits for row in result["rows"])
    assert all(0 <= value <= 1 for row in result["rows"] for value in row["ours"].values())
    assert all(one["finished"] for one in result["times"].values())
    reports = sorted(folder.glob("*/report.json"))
    assert len(reports) == len(result["reports"]) > 0
    before = [path.stat().st_mtime_ns for path in (*reports, *sorted(folder.glob("runs/*/model/model.safetensors")))]
    _, again = smoke(system, again=True)
    assert before == [p.stat().st_mtime_ns for p in (*reports, *sorted(folder.glob("runs/*/model/model.safetensors")))]
    assert again["rows"] == result["rows"] and again["reports"] == result["reports"]
    if system == "s4":
        assert [one["fraction"] for one in result["ablation"]] == [0, 1]
        assert [one["seeds"] for one in result["ablation"]] == [[42], [42, 43]]
        assert (folder / "grad_cam.png").is_file() and len(json.loads((folder / "submission.json").read_text())) > 3
    if system == "s1":
        report = json.loads((folder / "every_checkpoint_s1_resnet50" / "report.json").read_text())
        assert all("checkpoint-" in model["path"] for model in report["models"])
    if system == "s0":
        assert len(result["projected"]) == 2 and all("T4: " in line for line in result["projected"])
        assert (folder / "runs" / "s0_custom_cnn" / "plots" / "learning_curves.png").is_file()


@pytest.mark.slow
def test_s2_trains_another_backbone_from_a_file(smoke, backbone_file):
    folder, result = smoke("s2")
    phases = folder / "runs" / "s2_efficientnet_b2" / "phases"
    config = json.loads((phases / "00-frozen" / "model" / "config.json").read_text())
    assert config["backbone"] == BACKBONE
    given = load_file(backbone_file)
    trained = load_file(phases / "00-frozen" / "model" / "model.safetensors")
    assert all(torch.equal(given[name], trained[f"backbone.{name}"]) for name in ("conv_stem.weight", "bn1.weight"))
    assert any(f"timm's `{BACKBONE}`, where theirs is EfficientNet-B2" in line for line in result["differences"])
    assert not any("start from random weights" in line for line in result["differences"])


@pytest.mark.slow
def test_parts_run_beside_one_another_and_find_out_the_same(smoke, tmp_path, capfd):
    folder, alone = smoke("s0")
    trained = ("s0_custom_cnn", "s0_mobilenet_v2")
    weights = [(folder / "runs" / name / "model" / "model.safetensors").read_bytes() for name in trained]
    for path in ("report", *(f"runs/{name}" for name in trained)):
        shutil.move(folder / path, tmp_path / Path(path).name)
    # One training cannot be done: another run is in its place.
    in_the_way = folder / "runs" / "s0_custom_cnn"
    (in_the_way / "phases").mkdir(parents=True)
    keys = json.loads((tmp_path / "s0_custom_cnn" / "recipe.json").read_text())
    (in_the_way / "recipe.json").write_text(json.dumps(keys | {"seed": 7}))
    capfd.readouterr()
    with pytest.raises(UserError, match="^These failed, and all others finished: s0: training s0_custom_cnn. "):
        smoke("s0", "--jobs", "2", again=True)
    said = [line for line in capfd.readouterr().err.splitlines() if "failed" in line or "Traceback" in line]
    assert len(said) == 1 and "s0: training s0_custom_cnn failed: " in said[0] and "these keys differ: seed" in said[0]
    assert (folder / "runs" / "s0_mobilenet_v2" / "model" / "run.json").is_file()
    shutil.rmtree(in_the_way)
    _, beside = smoke("s0", "--jobs", "2", again=True)
    assert weights == [(folder / "runs" / name / "model" / "model.safetensors").read_bytes() for name in trained]
    assert beside["rows"] == alone["rows"]
    assert sum(part.startswith("evaluate report, ") for part in beside["times"]) == 3


@pytest.mark.slow
def test_as_many_calls_as_jobs_run_at_once(programs):
    """Each waits for the other, so that one after the other they would wait in vain."""
    meeting = multiprocessing.get_context("spawn").Barrier(2)
    programs.beside.run_beside({name: partial(meeting.wait, 100) for name in ("one", "other")}, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_system_goes_on_with_its_next_phase(programs, data, tmp_path):
    command = [sys.executable, str(FOLDER / "reproduce.py"), "s2", "--data", str(data), "--per_class", "16"]
    command += ["--steps", "2", "--batch", "8", "--test_split", "validation", "--output", str(tmp_path)]
    command += ["--backbone", BACKBONE]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "modeling")}
    phases = tmp_path / "s2" / "runs" / "s2_efficientnet_b2" / "phases"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        while process.poll() is None and not list(phases.glob("01-hardened/checkpoint-1/trainer_state.json")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    kept = phases / "00-frozen" / "model" / "model.safetensors"
    before = kept.stat().st_mtime_ns, kept.read_bytes()
    assert not (tmp_path / "s2" / "result.json").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == before
    result = json.loads((tmp_path / "s2" / "result.json").read_text())
    assert [phase["phase"] for phase in result["lengths"]["s2_efficientnet_b2"]] == ["frozen", "hardened", "finetuned"]
    assert result["times"]["train s2_efficientnet_b2"]["finished"]
    # A run that was cut short does not pass for a full one.
    full = [word for word in command[2:] if word not in ("--steps", "2")]
    with pytest.raises(UserError, match="these keys differ: phases"):
        programs.reproduce.main(programs.reproduce.make_parser().parse_args(full))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s4"], "Name a system .* and its --data"),
        (["s2", "--data", "sample", "--per_class", "0"], "--per_class is 0"),
        (["s4", "--data", "sample", "--as_is"], "leave --as_is out"),
        (["s2", "--data", "sample", "sample", "--as_is"], "--as_is takes one SOURCE"),
        (["--collect", str(ROOT / "LICENSE")], "needs the lines"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(programs, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        programs.reproduce.main(programs.reproduce.make_parser().parse_args([*words, "--output", str(tmp_path)]))


def a_result(**changes):
    return {
        "system": "s2", "is_full_length": True, "environment": {"cpus": 2}, "differences": ["other data."],
        "data": {"sources": ["pool"], "drawn": {"per_class": None, "fakes": ["a", "b"], "real_images": [], "seed": 1},
                 "splits": {"test": {"real": 1200, "fake": 5, "contents": "ab"}}},
        "rows": [{"what": "clean", "metric": "f1", "theirs": 0.9476, "ours": {"test": 0.5, "unseen": None}}],
        "lengths": {"s2_efficientnet_b2": [{"phase": "frozen", "epochs": 20.0, "best_epoch": 17.0}]},
        "times": {"train": {"minutes": 60.2, "core_minutes": 31.0, "finished": True}}, "reports": {"report": "cd"},
    } | changes  # fmt: skip


def test_a_table_says_what_is_known_and_no_more(programs):
    text = programs.table.markdown(a_result())
    assert "| clean | f1 | .9476 | .5000 | undefined |" in text and "1,200 real" in text
    assert "* Data: pool; fakes of a, b." in text
    assert "frozen 20 (best: 17)" in text and "60 minutes, 31 of a core" in text and "mean nothing" not in text
    assert "mean nothing" in programs.table.markdown(a_result(is_full_length=False))
    one = {"network": "ResNet-SE", "fraction": 0.0, "seeds": [42, 43], "clean": [0.5, 0.25], "attacked": [0.0, 0.1]}
    assert "| 0 | 42, 43 | .5000, .2500 | 0, .1000 |" in programs.table.markdown(a_result(ablation=[one]))


def test_results_are_collected_and_short_runs_are_not(programs, tmp_path):
    page, kept, runs = tmp_path / "page.md", tmp_path / "kept", tmp_path / "runs" / "s2"
    page.write_text(f"above\n{programs.table.BEGIN}old\n{programs.table.END}below\n")
    runs.mkdir(parents=True)
    (runs / "result.json").write_text(json.dumps(a_result()))
    assert programs.table.collect(runs.parent, page, kept) == ["s2"]
    text = page.read_text()
    assert text.startswith("above\n") and text.endswith("below\n") and "old" not in text
    assert text.count("Not run yet.") == 4 and "| clean | f1 | .9476 |" in text
    assert programs.table.with_results(text, kept) == text
    (runs / "result.json").write_text(json.dumps(a_result(is_full_length=False)))
    with pytest.raises(UserError, match="cut short"):
        programs.table.collect(runs.parent, page, kept)


def test_the_page_shows_the_kept_results(programs):
    page = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    assert page == programs.table.with_results(page), "reproduce.py --collect docs/reproduction.md writes it anew"
