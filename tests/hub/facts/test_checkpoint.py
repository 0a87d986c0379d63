import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fakelens.errors import UserError
from fakelens.hub.facts.checkpoint import read_checkpoint, weights_hash
from fakelens.inference.detector import load_detector
from fakelens.inference.identity import identity


def change_config(model, **changes):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | changes))


def test_a_saved_model_is_published_with_the_code_that_it_needs(model):
    (model / "modeling_of_another.py").write_text("")
    files = set(read_checkpoint(model).files)
    assert files <= {p.name for p in model.iterdir()}
    assert "modeling_of_another.py" not in files
    assert {"config.json", "preprocessor_config.json", "model.safetensors", "modeling_custom_cnn.py"} <= files
    # What modeling_custom_cnn.py imports from beside it comes too.
    assert "modeling_detector.py" in files


def test_what_training_leaves_behind_stays_behind(model):
    files = read_checkpoint(model).files
    names = ["optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_1.pth", "training_args.bin", "scaler.pt"]
    for name in names:
        (model / name).write_bytes(pickle.dumps({}))
    for name in ("trainer_state.json", "run.json"):
        (model / name).write_text("{}")
    assert read_checkpoint(model).files == files


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.PTH", "model.ckpt", "head.pkl"])
def test_pickles_are_refused_with_the_way_out(model, name):
    (model / name).write_bytes(pickle.dumps({}))
    with pytest.raises(UserError, match=rf"{name} is a pickle.*save_pretrained"):
        read_checkpoint(model)


def test_a_pickle_by_the_name_of_safetensors_is_refused(model):
    (model / "model.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(UserError, match="no whole safetensors file"):
        read_checkpoint(model)


def test_a_truncated_file_of_weights_is_refused(model):
    full = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(full[: len(full) // 2])
    with pytest.raises(UserError, match="no whole safetensors file"):
        read_checkpoint(model)


def test_sharded_weights_are_published_whole_or_not_at_all(model):
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    names = sorted(load_file(model / "model.safetensors"))
    for shard, name in zip(shards, names, strict=False):
        save_file({name: np.zeros(1)}, model / shard)
    (model / "model.safetensors").unlink()
    index = {"weight_map": dict(zip(names, shards, strict=False))}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert {*shards, "model.safetensors.index.json"} <= set(read_checkpoint(model).files)

    (model / shards[1]).unlink()
    with pytest.raises(UserError, match=rf"{shards[1]} is missing"):
        read_checkpoint(model)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("config.json", "holds no config.json"),
        ("model.safetensors", "holds no weights"),
        ("preprocessor_config.json", "Save the image processor"),
        ("modeling_detector.py", "lacks modeling_detector.py"),
        ("image_processing_detector.py", "lacks image_processing_detector.py"),
    ],
)
def test_a_model_that_lacks_a_part_is_refused(model, missing, words):
    (model / missing).unlink()
    with pytest.raises(UserError, match=words):
        read_checkpoint(model)


def test_timm_models_need_no_processor_file(model):
    (model / "preprocessor_config.json").unlink()
    # As transformers writes them: no preprocessor_config.json, and labels in timm's form.
    change_config(model, model_type="timm_wrapper", auto_map={}, id2label=None, label_names=["real", "fake"])
    checkpoint = read_checkpoint(model)
    assert checkpoint.labels == ["real", "fake"]
    assert checkpoint.files == ("config.json", "model.safetensors")
    assert checkpoint.code == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "LABEL_0.*Set id2label"),
        ({"id2label": {"0": "fake", "1": "real"}}, "Set id2label"),
        ({"id2label": None}, "Set id2label"),
        ({"architectures": None}, "names no architecture"),
        ({"auto_map": {"AutoConfig": "somebody/else--configuration.Config"}}, "another repo, somebody/else"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(model, changes, words):
    change_config(model, **changes)
    with pytest.raises(UserError, match=words):
        read_checkpoint(model)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=f"No model folder at {tmp_path / 'nothing'}"):
        read_checkpoint(tmp_path / "nothing")


def test_broken_json_is_named(model):
    (model / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json could not be read as JSON"):
        read_checkpoint(model)


def test_weights_have_the_hash_of_the_network_that_they_load_as(model):
    assert weights_hash(read_checkpoint(model)) == identity(load_detector(model, "cpu"))["weights"]
