"""Strangers' detectors from a Hub, over HTTP: every family by its own class names or a label map, and ONNX alone."""

import json
import subprocess
import sys

import pytest

from fakelens import load_detector
from tests.abuse import make_image
from tests.hub_fixture import hub
from tests.inference.test_foreign_detectors import FAMILIES, clip, saved, vit

__all__ = ["clip"]  # a fixture
TEXTS = "real=a photo from a camera,fake=made by ai"
RUN = """
import json, sys
from huggingface_hub import HfApi
from fakelens import load_detector
from fakelens.errors import UserError
from tests.abuse import make_image
api, said = HfApi(), {}
for name, folder in json.loads(sys.argv[1]).items():
    api.create_repo(f"user/{name}")
    api.upload_folder(repo_id=f"user/{name}", folder_path=folder)
for name, options in json.loads(sys.argv[2]):
    try:
        said[name] = load_detector(name, "cpu", **options).scores([make_image(seed=1)])[0]
    except UserError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def ask(folders, questions):
    """Upload folders to a Hub, load detectors from it by name, and return each one's score or its refusal."""
    with hub() as server:
        command = [sys.executable, "-c", RUN, json.dumps({k: str(v) for k, v in folders.items()})]
        done = subprocess.run([*command, json.dumps(questions)], capture_output=True, text=True, env=server.env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_detectors_of_every_family_are_loaded_by_name(tmp_path, clip):
    homes = {kind.__name__: saved(kind(["artificial", "human"]), tmp_path / kind.__name__) for kind in FAMILIES}
    questions = [(f"user/{name}", {}) for name in homes] + [("user/zero", {"label_map": TEXTS})]
    said = ask(homes | {"zero": clip}, questions)
    for name, home in homes.items():
        here = load_detector(home, "cpu").scores([make_image(seed=1)])[0]
        assert said[f"user/{name}"] == pytest.approx(here, abs=1e-6), name
    here = load_detector(clip, "cpu", label_map=TEXTS).scores([make_image(seed=1)])[0]
    assert said["user/zero"] == pytest.approx(here, abs=1e-6)


def test_a_repo_of_onnx_alone_is_loaded_by_name_and_asks_what_its_classes_mean(tmp_path):
    pytest.importorskip("onnxruntime")
    from fakelens.inference.onnx.export import write_graph

    home = saved(vit(["LABEL_0", "LABEL_1"]), tmp_path / "js")
    local = load_detector(home, "cpu", real_label="LABEL_1")
    (home / "onnx").mkdir()
    write_graph(local.model, local.process([make_image()]), home / "onnx" / "model.onnx")
    (home / "model.safetensors").unlink()
    file = "user/js/onnx/model.onnx"
    said = ask({"js": home}, [("user/js", {"label_map": "real=LABEL_1,fake=LABEL_0"}), (file, {})])
    assert said["user/js"] == pytest.approx(local.scores([make_image(seed=1)])[0], abs=1e-5)
    assert "--label-map real=LABEL_0,fake=LABEL_1" in said[file]
