"""Models and data to a report's folder, end to end."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.evaluation.report import folder as folder_module
from fakelens.evaluation.run import Options, evaluate_models, find_checkpoints, short_names
from fakelens.inference.detector import load_detector
from fakelens.metrics.detection import detection_metrics
from tests.conftest import SCRIPTS

VIEWS = ("raw", "normalised")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, tiny_model):
    """A run with two checkpoints of the tiny model, the later one always sure of "fake"."""
    run = tmp_path_factory.mktemp("run") / "phase"
    for step in (100, 20):
        shutil.copytree(tiny_model, run / f"checkpoint-{step}")
    detector = load_detector(run / "checkpoint-100", device="cpu")
    with torch.no_grad():
        detector.model.classifier.bias.fill_(30)
    detector.model.save_pretrained(run / "checkpoint-100")
    return run


@pytest.fixture(scope="module")
def written(tmp_path_factory, checkpoints, parquet):
    output = tmp_path_factory.mktemp("out") / "deep" / "report"
    report = evaluate_models([str(checkpoints)], str(parquet), output, ["test", "wild"], Options(VIEWS, device="cpu"))
    return output, report


def test_report_json_has_its_schema(written, parquet):
    output, report = written
    assert json.loads((output / "report.json").read_text()) == report
    assert list(report) == [
        "schema_version", "created", "fakelens_version", "environment", "data", "controls", "models", "comparison",
        "plots",
    ]  # fmt: skip
    assert report["schema_version"] == 4
    assert set(report["environment"]) == {"python", "torch", "transformers", "platform", "device"}
    assert report["data"]["source"] == str(parquet)
    assert report["data"]["description"] == open_source(str(parquet), "test").description
    test = report["data"]["splits"]["test"]
    assert (test["rows"], test["scored"], test["skipped"]) == (17, 16, {"damaged image": 1})
    assert report["data"]["splits"]["wild"] == {"rows": 17, "scored": 17, "skipped": {}}
    for model in report["models"]:
        assert model["architecture"] == "CustomCNNForImageClassification"
        assert model["parameters"] > 100
        assert model["decision_threshold"] == 0.5
        assert model["images_per_second"] > 0
        for split in ("test", "wild"):
            for view in VIEWS:
                result = model["results"][split][view]
                assert set(result["per_generator"]) == {"alpha", "beta", "gamma"}
                assert set(result["per_source"]) == {"first", "second"}
                assert result["worst_generator"]["auroc"] <= result["macro_auroc_over_generators"]
    assert sorted(report["plots"]) == sorted(p.relative_to(output).as_posix() for p in output.glob("plots/*.png"))
    assert len(report["plots"]) == 2 * (2 * 7 + 1)
    assert "an audit needs 20 of each" in report["data"]["audit"]["test"]["not_audited"]
    assert set(report["controls"]["test"]) == {"always fake", "file format"}
    for model in report["models"]:
        for item in model["gallery"]["wild"]:
            assert (output / item["image"]).is_file()
    page = (output / "report.md").read_text()
    assert "*always fake* (control)" in page
    assert "was not audited" in page
    assert "gallery/index.html" in page
    found = {m["name"]: m["results"]["wild"]["raw"]["overall"]["verdicts"] for m in report["models"]}
    for name, verdicts in found.items():
        assert f"**{name} on `wild`**: AUROC" in page
        assert f"of 8 real images it predicts {verdicts['real']['real']} real, 0 uncertain" in page


def test_checkpoints_come_in_the_order_of_their_steps(written):
    _, report = written
    assert [model["name"] for model in report["models"]] == ["phase/checkpoint-20", "phase/checkpoint-100"]
    always_fake = report["models"][1]["results"]["wild"]["raw"]["overall"]
    assert (always_fake["recall"], always_fake["specificity"], always_fake["false_positives"]) == (1, 0, 8)


def test_predictions_csv_has_each_row_once_and_gives_the_reports_numbers(written):
    output, report = written
    with (output / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "id", "label", "generator", "source", "split", "model",
        "score_raw", "score_normalised", "verdict_raw", "verdict_normalised",
    ]  # fmt: skip
    assert len(rows) == len({(r["id"], r["split"], r["model"]) for r in rows}) == 2 * (16 + 17)
    for model in report["models"]:
        for split in ("test", "wild"):
            own = [r for r in rows if (r["model"], r["split"]) == (model["name"], split)]
            for view in VIEWS:
                scores = np.array([float(r[f"score_{view}"]) for r in own])
                labels = np.array([["real", "fake"].index(r["label"]) for r in own])
                overall = model["results"][split][view]["overall"]
                assert overall["auroc"] == detection_metrics(scores, labels)["auroc"]
                assert overall["misclassified"] == detection_metrics(scores, labels)["misclassified"]


def test_report_md_says_what_matters(written):
    text = (written[0] / "report.md").read_text()
    assert "Shortcut gap of phase/checkpoint-20" in text
    assert "| test | 17 | 16 | 1 damaged image |" in text
    assert "### phase/checkpoint-20, wild: by generator" in text
    assert "### phase/checkpoint-100, test: by source" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") >= 4 and line.endswith("|") for line in tables)
    assert "![plots/roc_test_raw.png](plots/roc_test_raw.png)" in text


def test_the_sample_is_labelled_as_what_it_is(tmp_path, sample, tiny_model):
    report = evaluate_models([str(tiny_model)], "sample", tmp_path / "report", options=Options(limit=20, device="cpu"))
    assert "embedded demonstration sample" in report["data"]["description"]
    assert report["data"]["description"] in (tmp_path / "report" / "report.md").read_text()
    assert report["data"]["splits"]["test"]["rows"] == 20


def test_one_class_alone(tmp_path, parquet, tiny_model):
    """The first rows are all real: AUROC is undefined, the rest stands."""
    output = tmp_path / "report"
    report = evaluate_models([str(tiny_model)], str(parquet), output, options=Options(limit=5, device="cpu"))
    overall = report["models"][0]["results"]["test"]["raw"]["overall"]
    assert overall["auroc"] is None
    assert overall["specificity"] is not None
    assert "Shortcut gap" not in (output / "report.md").read_text().split("## How to read it")[0]


@pytest.mark.parametrize("failing", ["draw_split", "render_markdown"])
def test_a_failure_while_writing_keeps_the_last_report(tmp_path, parquet, tiny_model, failing, monkeypatch):
    output = tmp_path / "report"
    arguments = ([str(tiny_model)], str(parquet), output, ["wild"], Options(["raw"], device="cpu"))
    evaluate_models(*arguments)
    before = {p: p.read_bytes() for p in output.rglob("*") if p.is_file()}

    def disk_is_full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, failing, disk_is_full)
    with pytest.raises(UserError, match="No space left on device.*unchanged"):
        evaluate_models(*arguments)
    assert {p: p.read_bytes() for p in output.rglob("*") if p.is_file()} == before
    # What was scored is kept for the next try, and goes once a report stands.
    assert {path.name for path in tmp_path.iterdir()} == {"report", "report.partial"}
    monkeypatch.undo()
    evaluate_models(*arguments)
    assert list(tmp_path.iterdir()) == [output]


def test_a_new_report_repatches_the_last_one_whole(tmp_path, parquet, tiny_model):
    output = tmp_path / "report"
    evaluate_models([str(tiny_model)], str(parquet), output, ["test"], Options(["raw", "hard"], device="cpu"))
    report = evaluate_models([str(tiny_model)], str(parquet), output, ["wild"], Options(["raw"], device="cpu"))
    assert sorted(p.relative_to(output).as_posix() for p in output.glob("plots/*")) == sorted(report["plots"])
    assert list(tmp_path.iterdir()) == [output]
    assert output.stat().st_mode & 0o777 == tmp_path.joinpath("report", "plots").stat().st_mode & 0o777


def test_a_folder_with_other_files_is_never_replaced(tmp_path, parquet, tiny_model):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        evaluate_models([str(tiny_model)], str(parquet), tmp_path, options=Options(device="cpu"))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_broken_weights_are_named_and_leave_no_report(tmp_path, parquet, tiny_model):
    detector = load_detector(tiny_model, device="cpu")
    with torch.no_grad():
        detector.model.classifier.weight.fill_(float("nan"))
    detector.model.save_pretrained(tmp_path / "nan")
    detector.processor.save_pretrained(tmp_path / "nan")
    with pytest.raises(UserError, match="nan on split 'wild': 17 of 17 scores are not numbers"):
        evaluate_models([str(tmp_path / "nan")], str(parquet), tmp_path / "report", ["wild"], Options(device="cpu"))
    assert not (tmp_path / "report").exists()


def test_names_are_as_short_as_tells_models_apart(tmp_path):
    for name in ("a/run/model", "b/run/model", "c"):
        (tmp_path / name).mkdir(parents=True)
    paths = [str(tmp_path / "a/run/model"), str(tmp_path / "b/run/model"), str(tmp_path / "c"), "user/name"]
    assert short_names(paths) == ["a/run/model", "b/run/model", f"{tmp_path.name}/c", "user/name"]
    with pytest.raises(UserError, match="named twice"):
        short_names([str(tmp_path / "c"), str(tmp_path / "." / "c")])


def test_a_model_with_checkpoints_beside_it_is_that_model(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / "checkpoint-5").mkdir()
    assert find_checkpoints(str(tmp_path / "model")) == [str(tmp_path / "model")]


def run_script(*arguments):
    command = [sys.executable, str(SCRIPTS / "evaluate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_script(tmp_path, class_folders, tiny_model):
    output = tmp_path / "report"
    done = run_script("--model", tiny_model, "--data", class_folders, "--views", "raw", "--output", output)
    assert done.returncode == 0, done.stderr
    assert "1 of 18 rows skipped (1 not an image)" in done.stdout
    assert str(output / "report.md") in done.stdout
    assert {p.name for p in output.iterdir()} == {"report.json", "report.md", "predictions.csv", "plots", "gallery"}


def test_the_script_says_in_one_line_what_is_wrong(tmp_path, class_folders):
    output = tmp_path / "report"
    done = run_script("--model", "no/such/model", "--data", class_folders, "--output", output)
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, last.startswith("evaluate: There is no model at no/such/model.")) == (2, True), (
        done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_strengths_without_an_attack_are_not_passed_over(tmp_path, class_folders, tiny_model):
    output = tmp_path / "report"
    done = run_script("--model", tiny_model, "--data", class_folders, "--eps", 0.1, "--output", output)
    assert done.returncode == 2 and "--eps and --attack_limit belong to --attack" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "no-such-data"}, "No data at 'no-such-data'"),
        ({"splits": ["wild", "nowhere"]}, "no parquet file for split 'nowhere'"),
        ({"options": Options(views=["raw", "blurry"])}, "no view 'blurry'"),
        ({"options": Options(batch_size=0)}, "must be at least 1"),
        ({"options": Options(robustness_limit=1)}, "at least 2 images"),
    ],
)
def test_bad_arguments_are_named_before_the_work_begins(tmp_path, parquet, changes, message):
    arguments = {"models": ["never-loaded"], "data": str(parquet), "output": tmp_path / "report"} | changes
    with pytest.raises(UserError, match=message):
        evaluate_models(**arguments)


def test_the_scripts_help_has_an_example():
    done = run_script("--help")
    assert done.returncode == 0
    assert "fakelens evaluate --model" in done.stdout
