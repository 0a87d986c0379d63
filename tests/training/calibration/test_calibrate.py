"""scripts/calibrate.py: a model calibrated on images of one's own, and what its verdicts are then."""

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fakelens import load_detector
from fakelens.cli.app import app
from fakelens.cli.verbs.training import calibrate as calibrate_verb
from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.inference.test_foreign_detectors import saved, swin
from tests.tiny_data import write_tiny_data


@pytest.fixture(scope="module")
def script():
    return calibrate_verb


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("data") / "images", {"validation": 60, "test": 30})


def scores_of(model, data, split):
    found = list(examples(open_source(str(data), split), SkipLog()))
    return load_detector(model, "cpu").scores([e.image.image for e in found]), np.array([e.label for e in found])


def test_the_model_is_calibrated_and_the_command_line_says_uncertain(script, data, tiny_model, tmp_path, capsys):
    before, labels = scores_of(tiny_model, data, "validation")
    arguments = {"max_fpr": 0.1, "max_miss": 0.1, "device": "cpu"}
    script.main(script.CalibrateArguments(str(tiny_model), str(data), output=str(tmp_path / "m"), **arguments))
    said = " ".join(capsys.readouterr().out.split())
    assert "30 real images and 30 fakes" in said and "expected calibration error" in said

    record = json.loads((tmp_path / "m" / "run.json").read_text())["calibration"]
    assert record["data"] == str(data) and record["split"] == "validation" and record["count"] == 60
    after, _ = scores_of(tmp_path / "m", data, "validation")
    assert (np.argsort(after) == np.argsort(before)).all()
    low, high = load_detector(tmp_path / "m").uncertain_band
    assert low < high  # random weights do not tell the classes apart
    assert (after[labels == 0] >= high).mean() <= 0.1 and (after[labels == 1] < low).mean() <= 0.1

    names = []
    for number, example in enumerate(examples(open_source(str(data), "test"), SkipLog())):
        names.append(str(tmp_path / f"{number}.png"))
        example.image.image.save(names[-1])

    def verdicts(*options):
        result = CliRunner().invoke(app, [*names, "--model", str(tmp_path / "m"), "--json", *options])
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return [(row["score"], row["verdict"]) for row in rows]

    scored = verdicts()
    assert len(scored) == 30 and "uncertain" in {word for _, word in scored}
    assert all(word == ("fake" if s >= high else "real" if s < low else "uncertain") for s, word in scored)
    further = load_detector(tmp_path / "m").fake_threshold(0.2)
    assert further <= high  # more photographs may be predicted fake; what is predicted real stays
    for score, word in verdicts("--max-fpr", "0.2"):
        assert word == ("fake" if score >= further else "real" if score < low else "uncertain")

    # Calibrated again on the same images, in place: nothing changes, and the folder's other files stay.
    (tmp_path / "m" / "README.md").write_text("a card")
    script.main(script.CalibrateArguments(str(tmp_path / "m"), str(data), in_place=True, **arguments))
    assert (tmp_path / "m" / "README.md").read_text() == "a card"
    assert load_detector(tmp_path / "m").uncertain_band == pytest.approx((low, high), abs=1e-4)
    assert scores_of(tmp_path / "m", data, "validation")[0] == pytest.approx(after, abs=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".png") == ["m"]


def test_a_native_model_is_folded_and_keeps_its_record(script, data, tmp_path):
    from fakelens.zoo.registry import build_detector, build_processor

    torch.manual_seed(0)
    build_detector("timm/test_efficientnet").save_pretrained(tmp_path / "m")
    build_processor("timm/test_efficientnet", 32).save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "run.json").write_text(json.dumps({"name": "mine", "calibration": {"old": 1}}))
    before, _ = scores_of(tmp_path / "m", data, "test")
    output = tmp_path / "out"
    script.main(script.CalibrateArguments(str(tmp_path / "m"), str(data), rule="best_f1", output=str(output)))
    run = json.loads((output / "run.json").read_text())
    assert run["name"] == "mine" and "old" not in run["calibration"]
    config = json.loads((output / "config.json").read_text())
    temperature = run["calibration"]["temperature"]
    assert config["calibrated_temperature"] == temperature != 1 and "logit_temperature" not in config
    odds = np.log(before) - np.log1p(-before)
    after, _ = scores_of(output, data, "test")
    assert after == pytest.approx(1 / (1 + np.exp(-odds / temperature)), abs=1e-5)


def test_a_lean_to_one_side_is_taken_out(script, data, tiny_model, tmp_path, capsys):
    script.main(script.CalibrateArguments(str(tiny_model), str(data), output=str(tmp_path / "m"), method="platt",
                                          max_fpr=0.1, max_miss=0.1, device="cpu"))  # fmt: skip
    said = " ".join(capsys.readouterr().out.split())
    record = json.loads((tmp_path / "m" / "run.json").read_text())["calibration"]
    assert record["bias"] and f"{record['bias']:+.4g} to the log-odds of fake" in said
    # As many real images as fakes: on average they now score as fakes are many.
    scores, labels = scores_of(tmp_path / "m", data, "validation")
    assert scores.mean() == pytest.approx(labels.mean(), abs=0.01)


STRANGERS = [
    (["artificial", "human"], None),
    (["LABEL_0", "LABEL_1"], "real=LABEL_1,fake=LABEL_0"),
    (["fake"], None),
    (["human"], None),
    (["ai", "unknown", "photo"], "skip=unknown"),
]


@pytest.mark.parametrize(("names", "label_map"), STRANGERS, ids=["two", "numbered", "one", "one-real", "three"])
def test_a_strangers_classes_keep_their_names_and_their_meaning(script, data, tmp_path, names, label_map):
    home = saved(swin(names), tmp_path / "m")
    settings = script.CalibrateArguments(str(home), str(data), output=str(tmp_path / "out"), method="platt",
                                         max_fpr=0.1, max_miss=0.1, device="cpu", label_map=label_map)  # fmt: skip
    script.main(settings)
    was, now = load_detector(home, "cpu", label_map=label_map), load_detector(tmp_path / "out", "cpu")  # no map again
    assert list(now.model.config.id2label.values()) == names and now.readout == was.readout
    record = json.loads((tmp_path / "out" / "run.json").read_text())["calibration"]
    assert record["temperature"] != 1 and record["bias"]
    images = [e.image.image for e in examples(open_source(str(data), "test"), SkipLog())]
    before, after = (np.log(p) - np.log1p(-p) for p in (was.scores(images), now.scores(images)))
    assert after == pytest.approx(before / record["temperature"] + record["bias"], abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "out", "max_fpr": 0.01}, r"There are 30 real images.* 0\.01 .*at least 99"),
        ({"output": "out", "max_miss": 0.03}, r"There are 30 fake images.* 0\.03 .*at least 33"),
        ({"output": "out", "limit": 4, "max_fpr": 0.5}, r"fake images.*at least 19"),
        ({"output": "out", "max_fpr": 5.0}, "max_fpr is 5"),
        ({"output": "out", "rule": "best"}, "best_f1"),
        ({"output": "out", "method": "isotonic"}, "temperature, platt or none"),
        ({"output": "out", "split": "nowhere"}, "nowhere"),
        ({"output": "out", "limit": 0}, "--limit is 0"),
        ({}, "--output FOLDER and --in_place"),
        ({"output": "out", "in_place": True}, "--output FOLDER and --in_place"),
        ({"output": "taken"}, "there already"),
        ({"model": "user/name", "in_place": True}, "no folder"),
    ],
)
def test_what_cannot_be_done_writes_nothing(script, data, tiny_model, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, tmp_path / "taken")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        script.main(script.CalibrateArguments(**({"model": str(tiny_model), "data": str(data)} | options)))
    assert sorted(tmp_path.rglob("*")) == before
