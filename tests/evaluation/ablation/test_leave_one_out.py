"""`scripts/leave_one_out.py`: a recipe trained without each generator, evaluated on the one it never saw."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from fakelens.cli.verbs.training import leave_one_out as leave_one_out_verb
from fakelens.errors import UserError


@pytest.fixture
def recipe(tmp_path, tiny_data):
    keys = {
        "architecture": "custom_cnn", "image_size": 32, "processor_options": {"resample": 0}, "data": str(tiny_data),
        "model_options": {"hidden_sizes": [4, 8], "classifier_size": 4}, "max_steps": 8, "learning_rate": 0.01,
        "per_device_train_batch_size": 4, "report_to": "none", "disable_tqdm": True, "use_cpu": True,
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(keys))
    return str(tmp_path / "recipe.yaml")


@pytest.fixture(scope="module")
def script():
    return leave_one_out_verb


def call(script, *arguments):
    return script.main(*script.make_parser().parse_known_args([str(argument) for argument in arguments]))


def test_each_generator_is_left_out_once_and_what_is_finished_is_not_repeated(script, recipe, tmp_path, capsys):
    output = tmp_path / "out"
    assert call(script, recipe, "--output", output, "--split", "test", "--generators", "Checker") == 0
    trained = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/model/model.safetensors")}
    assert len(trained) == 2 and "| checker |" in capsys.readouterr().out
    assert call(script, recipe, "--output", output, "--split", "test") == 0
    again = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/model/model.safetensors")}
    assert len(again) == 3 and trained.items() < again.items()

    report = json.loads((output / "leave_one_out.json").read_text())
    records = [json.loads(path.read_text()) for path in output.glob("runs/*/model/run.json")]
    assert sorted(record["data"]["held_out"] for record in records) == [[], ["checker"], ["stripes"]]
    assert [one["generator"] for one in report["results"]] == ["checker", "stripes"]
    for one in report["results"]:
        assert one["fakes"] == 6 and one["held_out"]["fake"] == one["seen"]["fake"] == 6
        folder = next(path for path in output.glob("runs/*") if one["generator"] in path.name)
        scored = json.loads((folder / "report" / "report.json").read_text())["models"][0]["results"]["test"]["raw"]
        assert one["held_out"] == scored["per_generator"][one["generator"]]
    for column in ("held_out", "seen"):
        mean = sum(one[column]["auroc"] for one in report["results"]) / 2
        assert report["macro"][column] == pytest.approx(mean)
    assert report["macro"]["generators"] == 2
    table = [line for line in (output / "leave_one_out.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 5 and table[-1].startswith("| mean of 2 |") and "\n".join(table) in capsys.readouterr().out
    assert Image.open(output / "leave_one_out.png").width > 500


def test_what_fails_is_recorded_and_what_will_fail_is_said_first(script, recipe, tmp_path, class_folders):
    for arguments, message in (
        (["--generators", "sd-3.5"], "no generator 'sd-3.5' to leave out: checker, stripes"),
        (["--split", "wild"], "no parquet file for split 'wild'"),
        (["--data", class_folders, "--split", "test"], "names 0 generators"),
        (["--exclude_generators", "[Checker]"], "names 1 generators"),
        (["--only_generators", "checker"], "contradict each other"),
    ):
        with pytest.raises(UserError, match=message):
            call(script, recipe, "--output", tmp_path / "out", *arguments)
        assert not (tmp_path / "out").exists()
    keys = yaml.safe_load(Path(recipe).read_text())
    keys |= {"classes": "generator", "generators": ["checker"], "max_steps": 1}  # without it there is no fake left
    Path(recipe).write_text(yaml.safe_dump(keys))
    output = tmp_path / "out"
    assert call(script, recipe, "--output", output, "--split", "test", "--generators", "checker", "--limit", 16) == 1
    (one,) = json.loads((output / "leave_one_out.json").read_text())["results"]
    assert one["held_out"] is None and one["seen"]["fake"] == 4 and "has only real images" in one["error"]
    assert "**checker:** The validation split" in (output / "leave_one_out.md").read_text()
