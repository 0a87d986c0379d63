import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

import fakelens
from fakelens.errors import UserError
from fakelens.hub.preflight import check_files
from fakelens.hub.publish import collect_files
from tests.hub.pushing import REPO, assert_refused
from tests.hub.records import write_report, write_run

# Put together here, so that no scanner takes this file for a leak.
TOKEN = "hf_" + "aBcDeFgH" * 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (TOKEN, "a Hugging Face token"),
        ("AKIA" + "ABCDEFGH12345678", "an AWS key"),
        ("ghp_" + "a1" * 18, "a GitHub token"),
        ("github_pat_" + "a1" * 20, "a GitHub token"),
        ("xoxb-" + "1234567890-abc", "a Slack token"),
        ("sk-" + "proj-abcdefghijklmnopqrstuv", "an API key"),
        ("-----BEGIN " + "OPENSSH PRIVATE KEY-----", "a private key"),
        ("https://me:" + "hunter22@example.org/x", "a password in an address"),
        ("WANDB_API_" + "KEY=0123456789abcdef", "a key or password"),
        ('"password": ' + '"correct-horse"', "a key or password"),
        ("data: /home/ada/pool", "'/home/ada/pool'"),
        ('"weights": "/mnt/disk/x.safetensors"', "'/mnt/disk/x.safetensors'"),
        ("cache: ~/models", "'~/models'"),
        (r'"path": "C:\\Users\\Ada\\pool"', "C:"),
    ],
)
def test_what_is_private_is_refused_by_file_and_line_and_never_repeated(line, words):
    with pytest.raises(UserError) as refused:
        check_files({"README.md": f"# Tiny\n\n{line}\n".encode()})
    assert "README.md, line 3 holds" in str(refused.value) and words in str(refused.value)
    assert line not in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        "https://huggingface.co/data/models and [plots](plots/roc.png), real/fake, images/s, km/h, and/or",
        "| `modeling_x.py` | `9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08` |",
        "huggingface.co/tmp/x, hf_hub_download, sk-learn, ./data/x, ../home/x, key: value, tokens: 12345678",
    ],
)
def test_what_is_harmless_passes(line):
    check_files({"README.md": line.encode()})


def test_all_code_that_travels_passes():
    files = {path.name: path for path in (Path(fakelens.__file__).parent / "models").glob("modeling_*.py")}
    assert len(files) > 3
    check_files(files)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"optimizer.pt": b""}, "optimizer.pt is not among the files"),
        ({"../README.md": b""}, "is not among the files"),
        ({"plots/../../x.png": b""}, "is not among the files"),
        ({"examples/a.jpg": bytes(200_001)}, "has 200,001 bytes; at most 200,000"),
        ({"config.json": b"\xff\xfe"}, "config.json is no UTF-8"),
    ],
)
def test_other_files_and_large_ones_are_refused(files, words):
    with pytest.raises(UserError, match=words):
        check_files(files)


def test_nothing_private_leaves_by_any_way(server, publish, model, tmp_path):
    def refused(*words, report=None):
        more = ("--report", report) if report else ()
        assert_refused(publish("--model", model, "--repo-id", REPO, *more), *words)
        assert server.requests == []

    write_run(model, "sample", recipe={"architecture": "custom_cnn", "report_to": f"wandb {TOKEN}"})
    refused("README.md, line ", "a Hugging Face token")
    (model / "run.json").unlink()

    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"weights": "/root/pool/x.safetensors"}, indent=2))
    refused("config.json, line ", "/root/pool/x.safetensors")
    (model / "config.json").write_text(json.dumps(config))

    code = model / "modeling_custom_cnn.py"
    original = code.read_text()
    code.write_text(original + "# see /home/ada/notes\n")
    refused("modeling_custom_cnn.py, line ", "/home/ada/notes")
    code.write_text(original)

    description = "local folder, copied from /data/pool"
    data = {"source": "sample", "description": description, "splits": {}, "audit": {}}
    refused("README.md, line ", "/data/pool", report=write_report(tmp_path / "report", model, data=data))

    weights = load_file(model / "model.safetensors")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt", "from": "/home/ada/x"})
    refused("The header of model.safetensors", "/home/ada/x")

    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    assert "README.md" in collect_files(model, REPO)
