"""What classes mean and P(fake) in the browser's own code, run by Node: as Python's read-out has them."""

import json
import shutil
import subprocess

import pytest
import torch
from transformers import AutoConfig, ViTConfig

from fakelens.data.sources.label_rules import LabelRules
from fakelens.inference.classes.readout import read_classes
from tests.inference.test_foreign_detectors import labels
from tests.space.conftest import PAGE

RUN = """
import { pFake, readClasses } from "./classes.js";
const { config, logits } = JSON.parse(process.argv[1]);
try {
  const classes = readClasses(config);
  console.log(JSON.stringify(logits.map((one) => pFake(one, classes))));
} catch (error) {
  console.log(JSON.stringify(error.message));
}
"""


def ask(home, logits):
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    given = json.dumps({"config": json.loads((home / "config.json").read_text()), "logits": logits})
    command = ["node", "--input-type=module", "-e", RUN, given]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PAGE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("names", "label_map"),
    [
        (["real", "fake"], None),
        (["sdxl", "Real", "flux"], None),
        (["artificial", "human"], None),
        (["LABEL_0", "LABEL_1"], "real=LABEL_1,fake=LABEL_0"),
        (["ai", "photo", "unknown", "painting"], "real=photo|painting,skip=unknown"),
        (["fake"], None),
        (["human"], None),
        (["LABEL_0"], "fake=LABEL_0"),
    ],
    ids=lambda said: "-".join(said) if isinstance(said, list) else "",
)
def test_scores_are_pythons_by_what_an_export_writes(tmp_path, names, label_map):
    config = ViTConfig(**labels(names))
    readout = read_classes(config, LabelRules.parse(label_map), "m")
    readout.remember(config)
    config.save_pretrained(tmp_path)
    assert read_classes(AutoConfig.from_pretrained(tmp_path), LabelRules(), "m") == readout
    logits = torch.randn(4, len(names), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = readout(logits).softmax(-1)[:, 1:].sum(-1).tolist()
    assert ask(tmp_path, logits.tolist()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("names", [["cat", "dog"], ["artificial", "human"], ["fake"]])
def test_classes_that_no_export_explained_are_not_guessed(tmp_path, names):
    ViTConfig(**labels(names)).save_pretrained(tmp_path)
    said = ask(tmp_path, [[0.0] * len(names)])
    assert f"has the classes {', '.join(names)}" in said and "--label-map real=NAME,fake=NAME" in said
