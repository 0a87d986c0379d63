import json
import shutil

import pytest

from fakelens.errors import UserError
from fakelens.hub.facts.checkpoint import read_checkpoint
from fakelens.hub.facts.report import read_report
from tests.hub.pushing import shift_weights
from tests.hub.records import entry, write_report


def test_a_model_is_found_among_others_by_its_path(model, tmp_path):
    other = entry(tmp_path / "other", parameters=1)
    report = write_report(tmp_path / "report", model, models=[other, entry(model)])
    found = read_report(report, read_checkpoint(model))
    assert found.parameters == 12345
    assert found.plots == {"test": {"roc": {"raw": "plots/roc_test_raw.png"}}} and found.models == 2


def test_a_report_follows_a_model_that_was_moved(model, tmp_path):
    report = write_report(tmp_path / "report", model)
    moved = shutil.move(model, tmp_path / "elsewhere" / model.name)
    assert read_report(report, read_checkpoint(moved)).parameters == 12345


def test_a_report_holds_for_a_copy_but_not_for_a_namesake(model, tmp_path):
    report = write_report(tmp_path / "report", model)
    copy = shutil.copytree(model, tmp_path / "elsewhere" / model.name)
    assert read_report(report, read_checkpoint(copy)).parameters == 12345

    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"decision_threshold": 0.9}))
    with pytest.raises(UserError, match=f"is about tiny .*, not about {copy}"):
        read_report(report, read_checkpoint(copy))


def test_a_report_of_another_model_is_refused(model, tmp_path):
    report = write_report(tmp_path / "report", tmp_path / "other")
    with pytest.raises(UserError, match="is about other .*Evaluate this one: fakelens evaluate --model"):
        read_report(report, read_checkpoint(model))


def test_a_report_of_another_architecture_at_the_same_path_is_refused(model, tmp_path):
    report = write_report(tmp_path / "report", model, models=[entry(model, architecture="ResNetSE")])
    with pytest.raises(UserError, match="about a ResNetSE at .* holds a CustomCNNForImageClassification"):
        read_report(report, read_checkpoint(model))


def test_a_report_from_before_the_model_was_changed_is_refused(model, tmp_path):
    report = write_report(tmp_path / "report", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"decision_threshold": 0.25}))
    with pytest.raises(UserError, match="decision threshold 0.5; .* has 0.25 now. Evaluate this one"):
        read_report(report, read_checkpoint(model))
    (model / "config.json").write_text(json.dumps(config | {"uncertain_band": [0.25, 0.75]}))
    with pytest.raises(
        UserError, match="fake from 0.5 on, else real; of .* it is now real below 0.25, fake from 0.75"
    ):
        read_report(report, read_checkpoint(model))
    shift_weights(model)
    with pytest.raises(UserError, match="about other weights than .* holds now. Evaluate this one"):
        read_report(report, read_checkpoint(model))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 5}, "schema version 5; this fakelens reads 2 to 4"),
        ({"models": [{"name": "tiny"}]}, "incomplete .'path'"),
        ({"data": {"source": "sample"}}, "incomplete .'description'"),
        ({"models": []}, "is about no model"),
        ({"plots": ["plots/confusion_test_raw.png"]}, "confusion_test_raw.png, which is not there"),
    ],
)
def test_a_report_that_cannot_be_used_is_refused(model, tmp_path, changes, words):
    report = write_report(tmp_path / "report", model, **changes)
    with pytest.raises(UserError, match=words):
        read_report(report, read_checkpoint(model))


def test_a_folder_without_a_report_is_refused(model, tmp_path):
    with pytest.raises(UserError, match=r"No report.json in .*fakelens evaluate"):
        read_report(tmp_path, read_checkpoint(model))


def test_a_report_of_the_schema_before_is_read_under_the_names_now(model, tmp_path):
    changes = {"robustness": {"test": {"clean": {}, "steps": [{"reals_became_fake": 0.1, "fakes_became_real": 0.2}]}}}
    folder = write_report(tmp_path / "report", model, schema_version=2, models=[entry(model, **changes)])
    content = json.loads((folder / "report.json").read_text())
    content["data"]["splits"]["test"]["judged"] = content["data"]["splits"]["test"].pop("scored")
    (folder / "report.json").write_text(json.dumps(content))
    report = read_report(folder, read_checkpoint(model))
    assert report.splits["test"]["scored"] == 2100
    assert report.robustness["test"]["steps"] == [{"real_to_fake": 0.1, "fake_to_real": 0.2}]


def test_of_a_report_from_before_verdicts_were_counted_the_band_says_what_it_can(model, tmp_path):
    band = {"low": 0.5, "high": 0.5, "false_positive_rate": 0.01, "miss_rate": 0.25, "uncertain_fake": 0.25}
    old = entry(model, coverage={"test": {view: {"band": band} for view in ("raw", "normalised")}})
    del old["thresholds"]
    for view in old["results"]["test"].values():
        for numbers in (view["overall"], *view["per_generator"].values()):
            numbers.pop("verdicts", None)
    report = read_report(
        write_report(tmp_path / "report", model, schema_version=3, models=[old]), read_checkpoint(model)
    )
    raw = report.results["test"]["raw"]
    assert (raw.verdicts["recall"], raw.verdicts["false_positive_rate"]) == (0.5, 0.01)
    assert (raw.verdicts["real"]["fake"], raw.verdicts["fake"]["real"]) == (11, 250)
    assert raw.per_generator["sd-3.5"]["verdict_recall"] is None and report.thresholds.fake_from == 0.5
