"""`scripts/ablate.py`: one key over a list of values, at tiny size."""

import csv
import json

import pytest
import yaml
from PIL import Image

from fakelens.cli.verbs.training import ablate as ablate_verb
from fakelens.errors import UserError
from fakelens.evaluation.ablation.ablation import Ablation, _earlier, ablate, folder_name
from tests.tiny_data import write_tiny_data

KEY = "phases.1.adversarial.fraction"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def recipe(tmp_path, data):
    keys = {
        "architecture": "custom_cnn", "image_size": 32, "data": str(data),
        "model_options": {"hidden_sizes": [4, 8], "classifier_size": 4},
        "per_device_train_batch_size": 4, "learning_rate": 1e-3,
        "report_to": "none", "disable_tqdm": True, "use_cpu": True,
        "phases": [
            {"name": "base", "steps": 2},
            {"name": "adversarial", "steps": 2, "adversarial": {"fraction": 0.3, "eps": [0.1]}},
        ],
    }  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(keys))
    return str(path)


@pytest.fixture(scope="module")
def script():
    return ablate_verb


def call(script, *arguments):
    return script.main(*script.make_parser().parse_known_args([str(argument) for argument in arguments]))


def weights(output):
    return {p.parent.parent.name: p.stat().st_mtime_ns for p in output.glob("*/model/model.safetensors")}


def test_two_values_make_two_models_one_table_and_one_plot(script, recipe, tmp_path, capsys):
    output = tmp_path / "ablation"
    attack = ("--attack", "fgsm", "--eps", 0, 0.05)
    assert call(script, recipe, "--key", KEY, "--values", 0, 1.0, "--output", output, *attack, "--seed", 7) == 0
    report = json.loads((output / "ablation.json").read_text())
    assert [(one["value"], one["folder"], one["status"]) for one in report["results"]] == [
        (0, "0", "done"),
        (1.0, "1.0", "done"),
    ]
    assert report["base"]["seed"] == 7 and report["evaluation"]["eps"] == [0, 0.05]
    for one in report["results"]:
        keys = json.loads((output / one["folder"] / "recipe.json").read_text())
        assert keys["phases"][1]["adversarial"] == {"fraction": one["value"], "eps": [0.1]} and keys["seed"] == 7
        scored = json.loads((output / one["folder"] / "report" / "report.json").read_text())["models"][0]
        assert one["metrics"] == scored["results"]["test"]["raw"]["overall"]
        assert one["attacks"]["fgsm"][1] == scored["attacks"]["test"]["fgsm"][1]
    none, all_of_them = (one["metrics"] for one in report["results"])
    assert none["brier"] != all_of_them["brier"]  # the key reached the training
    with (output / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["auroc"]) for row in rows] == [none["auroc"], all_of_them["auroc"]]
    assert [float(row["fgsm_0.05_auroc"]) for row in rows] == [
        o["attacks"]["fgsm"][1]["auroc"] for o in report["results"]
    ]
    table = [line for line in (output / "ablation.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 4 and f"| {KEY} | accuracy | AUROC |" in table[0] and "FGSM 0.05: AUROC" in table[0]
    assert "\n".join(table) in capsys.readouterr().out
    assert Image.open(output / "ablation.png").width > 500
    assert sorted(path.name for path in output.iterdir()) == [
        "0", "1.0", "ablation.csv", "ablation.json", "ablation.md", "ablation.png",
    ]  # fmt: skip


def test_a_finished_value_is_not_trained_again_and_a_new_one_joins_it(recipe, tmp_path):
    output, said = tmp_path / "ablation", []
    first = ablate(Ablation(recipe, "learning_rate", ["1e-3"]), output, said.append)
    before = weights(output)
    report_of_first = output / "1e-3" / "report" / "report.json"
    scored = report_of_first.stat().st_mtime_ns
    both = ablate(Ablation(recipe, "learning_rate", ["1e-3", "1e-2"]), output, said.append)
    assert both["results"][0] == first["results"][0] and report_of_first.stat().st_mtime_ns == scored
    assert before.items() < weights(output).items()
    # Scored in another way, the models stay and the results do not.
    ablation = Ablation(recipe, "learning_rate", ["1e-3", "1e-2"], split="validation")
    other = ablate(ablation, output, said.append)
    assert before.items() < weights(output).items() and report_of_first.stat().st_mtime_ns > scored
    assert other["results"][0]["metrics"]["brier"] != first["results"][0]["metrics"]["brier"]
    assert said[0] == "learning_rate = 1e-3"


def test_a_value_that_fails_is_recorded_and_the_others_run(script, recipe, tmp_path, capsys):
    """One is refused by the recipe, one by the training, and words stand on the plot's axis."""
    output = tmp_path / "ablation"
    values = ("constant", "nonsense", "cosine")
    assert call(script, recipe, "--key", "phases.0.schedule", "--values", *values, "--output", output) == 1
    results = json.loads((output / "ablation.json").read_text())["results"]
    assert [one["status"] for one in results] == ["done", "failed", "done"]
    assert "nonsense is not a valid SchedulerType" in results[1]["error"]
    assert "phases.0.schedule = nonsense failed" in capsys.readouterr().err
    assert "**nonsense failed:**" in (output / "ablation.md").read_text()
    assert call(script, recipe, "--key", KEY, "--values", 2, 0, "--output", tmp_path / "fractions") == 1
    results = json.loads((tmp_path / "fractions" / "ablation.json").read_text())["results"]
    assert [one["status"] for one in results] == ["failed", "done"]
    assert "fraction is 2" in results[0]["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "phases.0.adversarial.fraction", "--values", 0, 1], "eps is missing"),
        (["--key", "phases.5.adversarial.fraction", "--values", 0, 1], "leads nowhere"),
        (["--key", "learning_rat", "--values", 0.1], "Did you mean learning_rate"),
        (["--key", KEY, "--values", 2, 3], "fraction is 2"),
        (["--key", "seed", "--values", 1, "--split", "wild"], "no parquet file for split 'wild'"),
        (["--key", "seed", "--values", 1, "--attack", "fgsm", "--eps", 7], r"lies in \[0, 1\]"),
        (["--key", "seed", "--values", 1, "--eps", 0.1], "belong to --attack"),
        (["--key", "seed", "--values", 1, "--limit", 0], "at least 1"),
        (["--key", "seed", "--values", 1, "--output_dir", "x"], "sets output_dir itself"),
        (["--key", "resume", "--values", "true"], "sets resume itself"),
        (["--key", "seed", "--values", 1, "--sed", 3], "unknown key 'sed'"),
    ],
)
def test_wrong_calls_are_named_before_any_work(script, recipe, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        call(script, recipe, "--output", tmp_path / "ablation", *arguments)
    assert not (tmp_path / "ablation").exists()


def test_two_ablations_are_not_mixed_in_one_folder(recipe, tmp_path):
    output = tmp_path / "ablation"
    ablate(Ablation(recipe, KEY, ["0"]), output)
    before = (output / "ablation.json").read_bytes()
    for other in (Ablation(recipe, "seed", ["0"]), Ablation(recipe, KEY, ["0"], ["--seed", "3"])):
        with pytest.raises(UserError, match="another key or recipe"):
            ablate(other, output)
    assert (output / "ablation.json").read_bytes() == before
    (output / "ablation.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        ablate(Ablation(recipe, KEY, ["0"]), output)


def test_every_value_has_a_folder_of_its_own():
    texts = ["0.1", "-1", "1e-4", "[0.1, 0.2]", "[0.1 0.2]", "../x", ".", "a" * 300, "a" * 301, ""]
    names = [folder_name(text) for text in texts]
    assert names[:3] == texts[:3] and len(set(names)) == len(texts)
    assert all(name and "/" not in name and not name.startswith(".") and len(name) < 60 for name in names)


def test_results_of_an_older_record_are_taken_up(tmp_path):
    report = {"recipe": "r.yaml", "key": KEY, "base": {"extra_fraction": 0.2}, "evaluation": {"split": "test"}}
    done = {"folder": "0", "status": "done"}
    names_before = {
        "key": KEY.replace("fraction", "share"),
        "base": {"extra_share": 0.2},
        "judging": {"split": "test"},
    }
    (tmp_path / "ablation.json").write_text(json.dumps({"recipe": "r.yaml", "results": [done]} | names_before))
    assert _earlier(tmp_path, report) == {"0": done}
