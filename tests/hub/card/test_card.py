import json
import re
from hashlib import sha256

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

import fakelens
from fakelens.hub.card.card import TEMPLATE, render_card
from fakelens.hub.facts.checkpoint import read_checkpoint
from fakelens.hub.facts.report import METRICS, read_report
from fakelens.hub.facts.results import eval_result_files
from fakelens.zoo import registry
from tests.hub.records import BAND, OPENFAKE, ROBUSTNESS, entry, numbers, view, write_report, write_run
from tests.local_hub.metadata import metadata_errors

SECTIONS = [
    "How to use it",
    "Evaluation",
    "Training",
    "Data and licence",
    "Environment",
    "Limits and misuse",
    "How to reproduce it",
    "Citation",
]

BOTH = ("raw", "normalised")


@pytest.fixture
def render(model, tmp_path):
    """Render the model's card, with a report whose entries can be replaced."""

    def run(is_evaluated=True, **changes):
        checkpoint = read_checkpoint(model)
        if not is_evaluated:
            return render_card(checkpoint, "user/tiny")
        report = read_report(write_report(tmp_path / "report", model, **changes), checkpoint)
        return render_card(checkpoint, "user/tiny", report)

    return run


def section(card, title):
    return card.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text):
    """Return a Markdown text's table rows by their first cell."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells}


def test_every_card_has_the_same_sections_and_metadata_that_the_hub_takes(render, model):
    write_run(model, OPENFAKE)
    for card in (render(is_evaluated=False), render()):
        assert re.findall(r"^## (.+)$", card, flags=re.M) == SECTIONS
        assert metadata_errors(card, "model") == ([], [])
        # No hole of the template is left, and no table falls apart into lines.
        assert "{{" not in card.replace("{{The fakelens contributors}}", "")
        assert "{%" not in card
        assert all(line.endswith("|") for line in card.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("name", [*registry.names(), "ensemble"])
def test_every_model_of_the_zoo_has_a_card_that_says_what_it_is(render, model, name):
    write_run(model, OPENFAKE, recipe={"architecture": name, "data": OPENFAKE})
    card = render()
    said = (TEMPLATE.parent / f"{name}.md").read_text().strip()
    assert len(said) > 100 and said in card.partition("## How to use it")[0]
    assert re.findall(r"^## (.+)$", card, flags=re.M) == SECTIONS
    assert metadata_errors(card, "model") == ([], [])


def test_tables_hold_the_reports_numbers(render):
    card = render()
    table = rows(section(card, "Evaluation"))
    for key, name in METRICS.items():
        title = f"{name} at 0.5" if name in ("Accuracy", "Precision", "Recall", "F1", "Specificity") else name
        raw, normalised = view()["overall"][key], view(0.612345678)["overall"][key]
        interval = [" (0.902 to 0.932)", " (0.602 to 0.632)"] if key == "auroc" else ["", ""]
        assert table[title] == [f"{raw:.4f}{interval[0]}", f"{normalised:.4f}{interval[1]}"], title
    # Counted where the verdict changes; beside them, and named so, with two verdicts.
    assert table["Recall (fakes predicted fake)"] == ["0.3737 (0.343 to 0.404)"] * 2
    assert table["False-positive rate (real images predicted fake)"] == ["0.0172 (0.011 to 0.027)"] * 2
    assert table["Fakes predicted real"] == ["0.0626"] * 2
    assert table["False positives"] == ["19 of 1,100"] * 2 and table["False negatives"] == ["62 of 1,000"] * 2
    assert table["False positives at 0.5"] == ["39 of 1,100"] * 2
    assert table["False negatives at 0.5"] == ["67 of 1,000"] * 2
    auroc = "0.5111 (0.501 to 0.531)"
    assert table["sd-3.5, held out of training"] == ["600", auroc, "0.3131", "0.4111", auroc, "0.3131", "0.4111"]
    assert table["flux\\|dev"] == ["400", *["undefined", "0.3737", "0.9333"] * 2]
    assert "Shortcut gap (AUROC raw minus normalised): +0.3000." in card
    assert "| ![roc of test, raw](plots/roc_test_raw.png) |" in card
    assert "2,100 of 2,101 images were scored" in card
    assert "Skipped: 1, damaged image." in card
    assert "19 of 1,100 real images were predicted fake" in section(card, "Limits and misuse")


def test_what_is_uncertain_calibrated_and_robust_is_told(render, model):
    evaluation = section(render(models=[entry(model, robustness={"test": ROBUSTNESS})]), "Evaluation")
    table = rows(evaluation)
    assert table["Coverage (images with a verdict)"] == ["0.7172"] * 2
    assert table["Errors among them"] == ["0.0515"] * 2
    assert "raw 0.2828 and 0.1818, " in evaluation and "divided by 1.75" in evaluation
    assert table["jpeg 50"] == ["0.8586", "0.0606", "0.7778", "0.1212"]
    assert "Verdict stability 0.8788" in evaluation
    assert "was not measured on this split" not in evaluation


def test_what_was_not_measured_is_said_and_what_there_is_not_left_out(render, model):
    plain = entry(model, temperature=1, coverage={"test": {n: {"band": BAND | {"low": 0.8}} for n in BOTH}})
    evaluation = section(render(models=[plain]), "Evaluation")
    assert "was not measured on this split" in evaluation
    assert "uncertain" not in evaluation and "Calibration:" not in evaluation


def test_the_audit_goes_into_the_card(render):
    evaluation = section(render(), "Evaluation")
    assert "| test | raw | 0.9654 | 0.9543 | JPEG luma table (0.8877) |" in evaluation
    assert "| test | normalised | 0.7123 | 0.5123 | mean red (0.6123) |" in evaluation
    assert "`test`: Train with degradations on both classes." in evaluation
    assert "`wild` was not audited: only fakes (3 read)" in evaluation


def test_metadata_carry_the_results(render, model):
    write_run(model, OPENFAKE)
    data = ModelCard(render()).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-classification")
    assert data.datasets == ["ComplexDataLab/OpenFake"]
    found = {(r.metric_type, r.metric_name.rpartition(", ")[2]): r.metric_value for r in data.eval_results}
    assert found["roc_auc", "raw view"] == pytest.approx(0.912346)
    assert found["roc_auc", "normalised view"] == pytest.approx(0.612346)
    assert found["accuracy", "raw view"] == pytest.approx(0.81111)
    result = data.eval_results[0]
    assert (result.dataset_type, result.dataset_config, result.dataset_split) == (
        "ComplexDataLab/OpenFake",
        "core",
        "test",
    )


def test_a_model_without_a_report_is_said_not_to_be_evaluated(render):
    card = render(is_evaluated=False)
    assert "> **Not evaluated.**" in card
    assert not re.search(r"\d", section(card, "Evaluation"))
    assert "model-index" not in card
    assert "fakelens evaluate" not in card


def test_what_training_did_not_record_is_said_to_be_not_recorded(render):
    card = render()
    assert "How it was trained is not recorded." in section(card, "Training")
    assert "What it was trained on is not recorded." in section(card, "Data and licence")
    assert "The licence of the weights is not recorded" in section(card, "Data and licence")
    assert rows(section(card, "Environment"))["torch"] == ["not recorded", "2.15.0"]
    assert ModelCard(card).data.license == "other"
    assert "fakelens train" not in card


def test_the_training_record_is_told(render, model):
    write_run(model, OPENFAKE)
    card = render()
    training = section(card, "Training")
    assert rows(training)["seed"] == ["42"]
    assert rows(training)["duration_s"] == ["61.5"]
    assert "Cost: 0.02 hours of one process on NVIDIA H200" in training
    assert rows(training)["validation"] == ["accuracy: 0.75"]
    assert yaml.safe_load(training.partition("```yaml\n")[2].partition("```")[0])["learning_rate"] == 0.001
    assert rows(section(card, "Environment"))["device"] == ["NVIDIA H200", "cpu"]
    assert rows(section(card, "Data and licence"))["skipped"] == ["empty file: 2"]
    assert "fakelens train recipe.yaml" in section(card, "How to reproduce it")
    assert f"--model user/tiny --data {OPENFAKE} --split test --views raw normalised" in card


def test_a_fine_tune_names_its_base_model_and_the_licence_that_it_inherits(render, model):
    write_run(model, "path/to/pool", license="cc-by-nc-4.0", base_model="fakelens/patch_lens")
    card = render()
    data = ModelCard(card).data
    assert data.license == "cc-by-nc-4.0" and data.base_model == "fakelens/patch_lens"
    assert "trained further from [fakelens/patch_lens]" in section(card, "Data and licence")


def test_a_fine_tune_says_what_it_gained_and_whose_calibration_it_has(render, model):
    before, after = ({"real": 40, "fake": 38, "auroc": auroc} for auroc in (0.61234, 0.87654))
    tuned = {"start_from": "patch_lens", "before": before, "after": after}
    why = ["12 real images, and an uncertain band takes 19", "the temperature went to its bound, 20"]
    write_run(model, "path/to/pool", fine_tuning=tuned, calibration={"kept": {"why": why, "fitted": {}}})
    card = render()
    assert "AUROC was 0.6123 before it and 0.8765 after" in section(card, "Data and licence")
    assert f"did not give better ones: {'; '.join(why)}." in section(card, "How to use it")
    write_run(model, "path/to/pool", calibration={"notes": []})
    assert "did not give better ones" not in render(is_evaluated=False)


def test_openfake_hands_its_licence_on_whatever_the_recipe_says(render, model):
    write_run(model, OPENFAKE, license="apache-2.0")
    card = render()
    assert ModelCard(card).data.license == "cc-by-nc-4.0"
    assert "no commercial use" in section(card, "Data and licence")
    assert "livernoche2025openfake" in section(card, "Citation")


def test_a_model_of_the_embedded_sample_is_said_to_be_of_no_use(render, model):
    write_run(model, "sample")
    card = render(is_evaluated=False)
    assert "**Demonstration only.**" in card
    assert "no use on other images" in " ".join(card.replace(">", "").split())
    data = ModelCard(card).data
    assert data.datasets is None
    assert data.license == "apache-2.0"
    assert "livernoche2025openfake" not in card


def test_paths_of_this_machine_stay_here(render, model, tmp_path):
    pool = tmp_path / "secret" / "pool"
    write_run(model, str(pool), environment={"python": "/home/somebody/bin/python"})
    card = render(data={"source": str(pool), "description": "local folder pool", "splits": {}, "audit": {}})
    assert "secret" not in card
    assert "/home/" not in card
    assert "Trained on `pool`, a local folder" in card
    assert ModelCard(card).data.datasets is None


def test_a_folder_is_not_taken_for_a_data_set_on_the_hub(render, model):
    # `data/pool` would be a valid id; the record says that it had no revision, so that it was a folder.
    write_run(model, "data/pool", data={"source": "data/pool", "revision": ""})
    assert ModelCard(render(is_evaluated=False)).data.datasets is None


@pytest.mark.parametrize("undefined", [None, float("nan")])
def test_undefined_metrics_are_shown_as_such_and_kept_out_of_the_metadata(render, model, undefined):
    results = {"test": {"raw": view() | {"overall": numbers(undefined)}}}
    card = render(models=[entry(model, results=results)])
    assert rows(section(card, "Evaluation"))["AUROC"] == ["undefined"]
    assert "roc_auc" not in {r.metric_type for r in ModelCard(card).data.eval_results}


def test_remote_code_is_asked_for_only_where_the_repo_has_any(render, model):
    assert 'model="user/tiny", trust_remote_code=True)' in render(is_evaluated=False)
    for name in ("config.json", "preprocessor_config.json"):
        content = json.loads((model / name).read_text())
        del content["auto_map"]
        (model / name).write_text(json.dumps(content))
    card = render(is_evaluated=False)
    assert 'model="user/tiny")' in card
    assert "trust_remote_code" not in card
    assert "SHA-256" not in card


def test_code_is_hashed_and_compared_with_what_is_installed(model):
    edited = model / "modeling_custom_cnn.py"
    edited.write_text(edited.read_text() + "# mine\n")
    found = rows(section(render_card(read_checkpoint(model), "user/tiny"), "How to use it"))
    assert found["`modeling_custom_cnn.py`"] == [f"`{sha256(edited.read_bytes()).hexdigest()}`", "not fakelens's own"]
    assert found["`modeling_detector.py`"][1] == f"as in fakelens {fakelens.__version__}"


def test_the_usage_names_every_class_and_the_thresholds(render, model):
    config = json.loads((model / "config.json").read_text())
    labels = {"0": "real", **{str(i): f"gen-{i}" for i in range(1, 12)}}
    config |= {"id2label": labels, "decision_threshold": 0.4321, "fpr_thresholds": {"0.01": 0.98765}}
    (model / "config.json").write_text(json.dumps(config))
    card = render(is_evaluated=False)
    assert ", ".join(f"`{name}`" for name in labels.values()) in card
    assert "from P(fake) = 0.4321 on" in card
    assert "predict fake for at most 1 % of real images: from P(fake) = 0.9877 on" in card


def test_eval_results_follow_the_hubs_format(model, tmp_path):
    report = read_report(write_report(tmp_path / "report", model), read_checkpoint(model))
    files = eval_result_files(report)
    assert sorted(files) == [
        f".eval_results/fakelens-complexdatalab-openfake-core-test-{v}.yaml" for v in ("normalised", "raw")
    ]
    (raw,) = parse_eval_result_entries(yaml.safe_load(files[sorted(files)[1]]))
    assert (raw.dataset_id, raw.task_id) == ("ComplexDataLab/OpenFake", "core")
    assert raw.value == pytest.approx(0.912346)
    assert raw.date == "2026-05-01T12:00:00+00:00"
    assert "raw view" in raw.notes


def test_eval_results_name_no_data_set_that_is_not_on_the_hub(model, tmp_path):
    data = {"source": "sample", "description": "embedded demonstration sample", "splits": {}, "audit": {}}
    report = read_report(write_report(tmp_path / "report", model, data=data), read_checkpoint(model))
    assert eval_result_files(report) == {}
