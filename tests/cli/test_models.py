"""`fakelens models` and what it reads: sizes counted, scores from reports about these weights or from the card."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fakelens.cli.app import app
from fakelens.cli.output import model_tables
from fakelens.errors import UserError
from fakelens.hub.facts.local_models import find_models, trained
from fakelens.zoo.facts import NETWORKS
from fakelens.zoo.registry import ARCHITECTURES
from fakelens.zoo.shipped import SHIPPED, SHIPPED_FOLDER
from tests.hub.records import write_report


@pytest.fixture
def run(tmp_path, tiny_model, monkeypatch):
    """A run of a tiny network in an empty working folder, without a report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAKELENS_MODEL", raising=False)
    shutil.copytree(tiny_model, tmp_path / "runs" / "first" / "model")
    facts = {"recipe": {"architecture": "custom_cnn"}, "parameters": 1234, "data": {"held_out": ["flux-dev"]}}
    (tmp_path / "runs" / "first" / "model" / "run.json").write_text(json.dumps(facts))
    return tmp_path / "runs" / "first"


def models(*arguments):
    result = CliRunner().invoke(app, ["models", *map(str, arguments)])
    return result, [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_the_zoo_is_counted(run):
    result, rows = models("--json")
    assert result.exit_code == 0
    zoo = {row["name"]: row for row in rows if row["kind"] == "network"}
    assert list(zoo) == list(ARCHITECTURES)
    assert zoo["custom_cnn"]["parameters"] == 421_921 and zoo["resnet50"]["native"] and not zoo["resnet_se"]["native"]
    # Four bytes a parameter, and the statistics of normalisation layers beside them.
    assert all(4 * row["parameters"] <= row["megabytes"] * 1e6 < 4.1 * row["parameters"] for row in zoo.values())
    shipped, model = (row for row in rows if row["kind"] == "model")
    assert shipped["path"] == SHIPPED and not shipped["native"] and shipped["folder"] == str(SHIPPED_FOLDER)
    assert model["path"] == "runs/first/model" and model["scores"] == [] and model["network"] == "custom_cnn"


def test_the_list_needs_no_network_built_and_says_one_thing_of_a_class(run):
    program = (
        "import sys\nfrom fakelens.cli.app import app\n"
        "try:\n    app(['models', '--json'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'timm', 'datasets') if name in sys.modules])"
    )
    write_report(run / "report", run / "model")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    *lines, heavy = done.stdout.splitlines()
    assert heavy == "[]", done.stderr
    rows = [json.loads(line) for line in lines]
    assert rows[-1]["scores"][0]["auroc"]["raw"] == 0.912345678  # of these weights, which were hashed and not loaded
    lens = [row["native"] for row in rows if SHIPPED in (row.get("name"), row.get("path"))]
    assert lens == [False, False]


def test_scores_are_those_of_reports_about_these_weights(run):
    write_report(run / "report", run / "model")
    (score,) = trained(run / "model").scores
    assert score.data == "ComplexDataLab/OpenFake:core" and score.split == "test"
    assert score.auroc["raw"] == 0.912345678 and score.intervals["raw"][0] == pytest.approx(0.902345678)
    assert score.generators == 2 and score.source.endswith("runs/first/report/report.json")
    # Other weights under the same name: the report is not about them, and that is said.
    other = run / "model" / "model.safetensors"
    data = bytearray(other.read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    changed = trained(run / "model")
    assert changed.scores == () and "is about other weights" in changed.note


@pytest.mark.parametrize(("held_out", "expected"), [(None, None), ([], []), (["flux|dev", "unused"], ["flux|dev"])])
def test_generators_held_out_are_those_of_the_split(run, held_out, expected):
    folder = write_report(run / "report", run / "model")
    report = json.loads((folder / "report.json").read_text())
    report["models"][0]["unseen_generators"] = held_out
    (folder / "report.json").write_text(json.dumps(report))
    assert trained(run / "model").scores[0].held_out == expected


def test_a_published_model_is_known_by_its_card(run):
    (run / "model" / "README.md").write_text(
        "---\nmodel-index:\n- name: tiny\n  results:\n  - task: {type: image-classification}\n"
        "    dataset: {name: words, type: USER/DATA, split: test}\n    metrics:\n"
        "    - {type: roc_auc, value: 0.75, name: 'AUROC, raw view'}\n"
        "    - {type: accuracy, value: 0.5, name: 'Accuracy, raw view'}\n---\n"
    )
    (score,) = trained(run / "model").scores
    assert (score.data, score.split, score.auroc) == ("USER/DATA", "test", {"raw": 0.75})
    assert score.held_out is None and score.source.endswith("README.md")


def test_models_are_looked_for_where_they_are_named(run, tmp_path, tiny_model, monkeypatch):
    assert find_models() == [SHIPPED_FOLDER, Path("runs/first/model")]
    shutil.copytree(run, tmp_path / "elsewhere" / "second")
    found = find_models([tmp_path / "elsewhere", tmp_path / "elsewhere" / "second", run / "model"])
    assert len(found) == 3 and found[2] == tmp_path / "elsewhere" / "second" / "model"
    monkeypatch.setenv("FAKELENS_MODEL", str(tiny_model))
    assert find_models()[:2] == [SHIPPED_FOLDER, tiny_model]
    with pytest.raises(UserError, match="No model in"):
        find_models([tmp_path / "nothing"])
    result, _ = models("--runs", tmp_path / "nothing")
    assert result.exit_code == 2 and "No model in" in result.stderr


def test_a_person_gets_tables(run, capsys, monkeypatch):
    monkeypatch.setattr(model_tables, "Console", lambda: Console(width=150))
    write_report(run / "report", run / "model")
    shutil.copytree(run / "model", run.parent / "second" / "model")
    model_tables.write_networks(NETWORKS)
    model_tables.write_models([trained(run / "model"), trained(run.parent / "second" / "model")])
    said = capsys.readouterr().out
    assert "421,921" in said and "timm/resnet50.a1_in1k" in said and "0.912" in said and "[0.902, 0.932]" in said
    assert "pretrained backbone (ImageNet)" in said and "import fakelens" in said
    assert "1,234 parameters" in said and "class of fakelens" in said and "not measured" in said
