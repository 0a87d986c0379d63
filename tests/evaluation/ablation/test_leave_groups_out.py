"""`fakelens leave-one-out --leave_out`: recipes scored on sources and generators that they never met."""

import json
from pathlib import Path

import datasets
import pytest
import yaml

from fakelens.cli.verbs.training import leave_one_out as verb
from fakelens.errors import UserError
from tests.tiny_data import image

REAL_SOURCES = ("camera-a", "camera-b", "web")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Real images from two cameras and the web, fakes by two generators from two sources; ten of a source `few`."""
    root = tmp_path_factory.mktemp("pool")
    for split, count in (("train", 48), ("validation", 24)):
        rows = []
        for number in range(count):
            fake = ("checker", "stripes")[number // 2 % 2] if number % 2 else None
            source = "art" if fake == "checker" else "web" if fake else REAL_SOURCES[number // 2 % 3]
            rows.append((image(number + 1000 * len(split), fake), fake, source))
        rows += [(image(5000 + n, "checker"), "checker", "few") for n in range(2 if split == "train" else 0)]
        table = datasets.Dataset.from_dict(
            {
                "image": [cell for cell, _, _ in rows],
                "label": ["fake" if fake else "real" for _, fake, _ in rows],
                "model": [fake for _, fake, _ in rows],
                "source": [source for _, _, source in rows],
            },
            features=datasets.Features(
                {"image": datasets.Image()} | {k: datasets.Value("string") for k in ("label", "model", "source")}
            ),
        )
        table.to_parquet(root / f"{split}-00000-of-00001.parquet")
    return str(root)


@pytest.fixture
def recipe(tmp_path, data):
    keys = {
        "architecture": "custom_cnn", "image_size": 32, "processor_options": {"resample": 0}, "data": data,
        "model_options": {"hidden_sizes": [4, 8], "classifier_size": 4}, "max_steps": 4, "learning_rate": 0.01,
        "per_device_train_batch_size": 4, "report_to": "none", "disable_tqdm": True, "use_cpu": True,
    }  # fmt: skip
    for name in ("one", "other"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(keys | ({"max_steps": 2} if name == "other" else {})))
    return str(tmp_path / "one.yaml")


def call(*arguments):
    return verb.main(*verb.make_parser().parse_known_args([str(argument) for argument in arguments]))


def test_groups_are_left_out_in_turn_and_scored_where_they_were(recipe, tmp_path, capsys):
    groups = ("--leave_out", "art", "camera-*#1/2", "--leave_out", "Stripes", "--at_least", "6")
    output = tmp_path / "out"
    assert call(recipe, "--output", output, *groups) == 0
    report = json.loads((output / "left_out.json").read_text())
    art, stripes = report["results"]
    # Cameras that one pattern matches are one collection; 12 of each of three real sources, two splits.
    assert set(art["pairs"]) == {"checker (art)"} and set(art["pairs"]["checker (art)"]) == {"camera-*"}
    assert art["images"] == {"camera-*": 12, "checker (art)": 18} and art["notes"] == []
    # Nothing real is left out with the stripes: validation images stand in, and it is said.
    assert set(stripes["pairs"]["stripes (web)"]) == {"real, trained on"}
    assert stripes["images"] == {"real, trained on": 12, "stripes (web)": 18}
    assert stripes["notes"] == ["no real images are left out: those of the validation split stand in, which flatters"]
    means = [art["pairs"]["checker (art)"]["camera-*"], stripes["pairs"]["stripes (web)"]["real, trained on"]]
    (summary,) = report["summary"]
    assert summary["macro"] == pytest.approx(sum(means) / 2) and summary["worst"] == min(means)
    assert summary["predicted_fake"] == art["predicted_fake"]["camera-*"] / 12 and report["chosen"] == recipe
    printed = capsys.readouterr().out
    assert "| checker (art) | 18 |" in printed and "| camera-* | 12 |" in printed and "| macro AUROC |" in printed
    page = [line for line in (output / "left_out.md").read_text().splitlines() if line.startswith("|")]
    assert page == [line for line in printed.splitlines() if line.startswith("|")] and len(page) == 11

    records = [json.loads(path.read_text()) for path in output.glob("runs/one/*/model/run.json")]
    assert sorted(record["recipe"]["exclude_sources"] for record in records) == [["Stripes"], ["art", "camera-*#1/2"]]
    trained = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/*/model/model.safetensors")}
    assert call(recipe, "--output", output, *groups, "--also", tmp_path / "other.yaml") == 0
    again = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/*/model/model.safetensors")}
    assert len(trained) == 2 and len(again) == 4 and trained.items() < again.items()
    both = json.loads((output / "left_out.json").read_text())
    assert both["results"][:2] == report["results"] and len(both["summary"]) == 2
    best = max(both["summary"], key=lambda row: row["macro"])
    assert both["chosen"] == best["recipe"] and "Chosen, by the macro AUROC" in capsys.readouterr().out


def test_what_cannot_be_left_out_is_said_in_a_line_before_any_training(recipe, tmp_path):
    out = ("--output", tmp_path / "out")
    for arguments, message in (
        (["--leave_out", "nowhere"], "nowhere matches nothing in .* There are: art, camera-a, camera-b, checker, few"),
        (["--leave_out", "camera-*#9/3"], "parts are counted from 1 to 3"),
        (["--leave_out", "few"], r"leaves out 2 fake of checker \(few\): a collection of fewer than 20"),
        (["--leave_out", "camera-*", "web", "--at_least", "6"], "leaves no real image of .* to train on"),
        (["--leave_out", "art", "--generators", "checker"], "go without --leave_out"),
        (["--also", "demo"], "go with --leave_out"),
        (["--leave_out", "art", "--at_least", "0"], "--at_least is 1 or more"),
        (["--leave_out", "art", "--also", "demo"], "read different data"),
    ):
        with pytest.raises(UserError, match=message):
            call(recipe, *out, *arguments)
        assert not (tmp_path / "out").exists()


def test_a_small_collection_is_named_and_left_out_of_the_mean(recipe, tmp_path):
    assert call(recipe, "--output", tmp_path, "--leave_out", "few", "art", "camera-a", "--at_least", "6") == 0
    (result,) = json.loads((tmp_path / "left_out.json").read_text())["results"]
    assert result["notes"] == ["checker (few) has 2 images, too few for an AUROC of its own"]
    assert set(result["pairs"]) == {"checker (art)"} and set(result["images"]) == {"checker (art)", "camera-a"}
    assert "too few for an AUROC" in (tmp_path / "left_out.md").read_text()


def test_what_fails_is_recorded_and_the_rest_is_done(recipe, tmp_path):
    """Without the generator there is no fake left in validation to choose a checkpoint by."""
    keys = yaml.safe_load(Path(recipe).read_text()) | {"classes": "generator", "generators": ["checker"]}
    Path(recipe).write_text(yaml.safe_dump(keys))
    output = tmp_path / "out"
    code = call(recipe, "--output", output, "--leave_out", "checker", "--leave_out", "stripes", "--at_least", "6")
    first, second = json.loads((output / "left_out.json").read_text())["results"]
    assert code == 1 and "has only real images" in first["error"] and second["pairs"]
    assert json.loads((output / "left_out.json").read_text())["chosen"] is None
