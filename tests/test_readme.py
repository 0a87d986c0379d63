"""README.md and docs/: what README names is there, and the Python and the commands of all pages run, on tiny data.

The commands run as they stand, in a folder where each of their placeholders is a real thing: a model, a data set, an
image; and in the order in which one reads them, for publishing takes the report that evaluating wrote. `TINY` has what
is added or changed so that a command takes seconds, `NOT_RUN` the ones that run elsewhere.
"""

import csv
import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from fakelens.cli import app as cli
from fakelens.data.aligned.tiny_autoencoder import tiny_decoder, tiny_encoder
from tests.abuse import make_image
from tests.conftest import load_script
from tests.readme import ROOT, Command, commands, faults, pages, python_blocks
from tests.tiny_data import write_tiny_data

PAGES = pages()
TEXT = PAGES["README.md"]
# A command that stands on two pages is run once.
COMMANDS = list(dict.fromkeys(command for text in PAGES.values() for command in commands(text)))
BLOCKS = {
    f"{path}, block {n}": block
    for path, text in PAGES.items()
    if path != "docs/scaling.md"  # tests/docs/test_scaling.py runs it as the engine does
    for n, block in enumerate(python_blocks(text))
}
MODELS = (
    "runs/demo/model",
    "runs/demo/hub",
    "runs/custom_cnn/model",
    "runs/openfake/model",
    "runs/continual/model",
    "runs/finetune/model",
    "DIR",
    "A",
    "B",
    "USER/NAME",
    "USER/YOUR_DETECTOR",
)
DATA = ("SOURCE", "SHARDS", "YOUR_IMAGES", "YOUR_DATA", "path/to/new", "path/to/images")
QUIET = {"report_to": "none", "disable_tqdm": "true", "use_cpu": "true"}
TINY_CNN = '{"hidden_sizes": [4, 8], "classifier_size": 4}'

# The beginning of a command -> why it is not run here.
NOT_RUN = {
    "make ": "`.ci/run` runs demo, test and test-slow; bench takes minutes",
    "fakelens space": "it serves until it is stopped; tests/space run the app",
    "python benchmarks/": "they take minutes",
    "python scripts/build_browser_space.py": "tests/space runs it, where `make browser` has fetched what it takes",
    "fakelens train s4_resnet_se --data POOL": "tests/training/dry_run says how long runs take",
    "fakelens leave-one-out finetune": "tests/evaluation/ablation leave collections out",
    "fakelens score USER/NAME --output scores --push_to_hub": "tests/cli/verbs/test_score.py pushes to a Hub",
    "fakelens score USER/NAME --output hf:": "tests/cli/verbs/test_score.py pushes to a Hub",
    "pip ": "it would change this environment",
}
# These are run by `make test-slow`, as processes of their own; all others by `make test`, in this process.
SLOW = (
    "torchrun",
    "accelerate",
    *(f"fakelens {name} " for name in ("ablate", "compare", "evaluate", "leave-one-out", "score", "train")),
)
SLOW += ("fakelens publish ",)  # needs the report of an evaluation before it

# A word -> what stands for it.
REPLACED = {
    "https://example.org/a.png": ["other.png"],  # there is no network
    "HUB_ID_OR_FOLDER": ["encoder.safetensors", "decoder.safetensors"],
    # One of seventeen autoencoders, and images that are large enough to train it on.
    "small": ["small:small-1-shuffle", "--training_steps", "2", "--data", "large"],
    "10.0.0.1": ["127.0.0.1"],
    # The classes of these models and data.
    "real=LABEL_0,fake=LABEL_1": ["real=real,fake=fake"],
    "real=0,fake=1,skip=2": ["real=real,fake=fake"],
    "natural": ["real"],
    "recipes/accelerate/eight_gpus.yaml": ["recipes/accelerate/two_cpu_processes.yaml"],
    "16": ["2"],  # processes, of two machines
    "8": ["2"],
}
# A verb or the name of a recipe -> what is added.
TINY = {
    "publish": ["--examples", "none"],
    "compare": ["--stability", "4"],  # images
    "custom_cnn.yaml": ["--image_size", "32", "--model_options", TINY_CNN, "--max_steps", "2"],
    "s0_efficientnetv2_s.yaml": ["--data", "SOURCE", "--pretrained", "false"]
    + ["--image_size", "32", "--max_steps", "1"],
    "s2_efficientnet_b2.yaml": ["--pretrained", "false", "--holdout", "0.5"]
    + [word for phase in range(3) for word in (f"--phases.{phase}.epochs", "0.5")],
    "demo.yaml": ["--max_steps", "2", "--eval_steps", "1"],
    "finetune.yaml": ["--min_per_class", "1", "--eval_steps", "1"]
    + [word for phase in range(2) for word in (f"--phases.{phase}.steps", "1")],
    "continual.yaml": ["--rehearsal", '["SOURCE"]', "--max_steps", "2", "--eval_steps", "1"],
    "patch_lens_openfake.yaml": [
        "--data",
        "SOURCE",
        "--extra_data",
        "path/to/folder",
        "--pretrained",
        "false",
        "--image_size",
        "32",
        "--train_crop",
        "16",
    ]
    + ["--max_steps", "2", "--eval_steps", "1", "--dataloader_num_workers", "0", "--bf16", "false"]
    + ["--per_device_train_batch_size", "4"],
    "RECIPE.yaml": [],
}


@pytest.fixture(scope="module")
def world(tiny_model, tmp_path_factory):
    """A folder in which everything that the pages' commands name is there."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("scripts", "recipes", "benchmarks", "space"):
        (folder / name).symlink_to(ROOT / name)
    for name in MODELS:
        shutil.copytree(tiny_model, folder / name)
    for name in DATA:
        write_tiny_data(folder / name, {"train": 44, "validation": 44, "test": 44})
    # As training leaves it: calibrated.
    for name in ("runs/demo/model", "runs/demo/hub"):
        config = json.loads((folder / name / "config.json").read_text())
        config |= {"uncertain_band": [0.4, 0.6], "fpr_thresholds": {"0.05": 0.6}}
        (folder / name / "config.json").write_text(json.dumps(config))
    for number, name in enumerate(("photo.jpg", "other.png", "downloads/a.jpg", "downloads/b/c.jpg", "FOLDER/d.jpg")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(64, 48, number).save(folder / name)
    shutil.copyfile(ROOT / "space" / "examples" / "photograph.png", folder / "photograph.png")
    (folder / "list.txt").write_text("photo.jpg\ndownloads/a.jpg\n")
    splits = [f"path/to/folder/{split}" for split in ("train", "validation", "test")]
    for number, name in enumerate(f"{at}/{kind}" for at in ("data/raw", *splits) for kind in ("real", "fake")):
        (folder / name).mkdir(parents=True)
        for image in range(8):
            make_image(40, 40, 100 * number + image).save(folder / name / f"{image}.png")
    for kind in ("real", "fake"):
        (folder / "large" / "train" / kind).mkdir(parents=True)
        make_image(200, 200, len(kind)).save(folder / "large" / "train" / kind / "0.png")
    phases = [
        {"name": "base", "steps": 2},
        {"name": "adversarial", "steps": 2, "adversarial": {"fraction": 0.3, "eps": [0.05]}},
    ]
    recipe = {
        "architecture": "custom_cnn",
        "image_size": 32,
        "data": "SOURCE",
        "model_options": yaml.safe_load(TINY_CNN),
    }
    recipe |= {"per_device_train_batch_size": 4, "phases": phases, "report_to": "none", "use_cpu": True}
    (folder / "RECIPE.yaml").write_text(yaml.safe_dump(recipe))
    torch.manual_seed(0)
    for name, network in (("encoder", tiny_encoder()), ("decoder", tiny_decoder())):
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return folder


def tiny(command: Command) -> list[str]:
    """Return a command's words, changed so that it takes seconds."""
    replaced = REPLACED if command.verb == "prepare" else REPLACED | {"data/processed": ["path/to/folder"]}
    words = [word for old in command.words for word in replaced.get(old, [old])]
    if command.program == "torchrun":
        words[1:1] = ["--standalone"]
    if command.program == "accelerate" and "--config_file" not in words:
        # Without GPUs, accelerate starts several processes only by these settings.
        words[2:2] = ["--config_file", "recipes/accelerate/two_cpu_processes.yaml"]
    if command.verb == "train":
        recipe = f"{Path(command.arguments[0]).stem}.yaml"
        words += [*TINY[recipe], *(word for key, value in QUIET.items() for word in (f"--{key}", value))]
        words += ["--per_device_train_batch_size", "4", "--output_dir", f"runs/trained/{COMMANDS.index(command)}"]
    elif command.verb == "score":
        at = words.index("--output")
        words[at + 1] = f"scores/{COMMANDS.index(command)}"
        words[:at] = ["SOURCE" if word == "USER/NAME" else word for word in words[:at]]
    elif command.verb == "publish" and "--dry-run" not in words:
        words += ["--dry-run", f"runs/pushed/{COMMANDS.index(command)}"]  # tests/hub pushes
    return words + TINY.get(command.verb, [])


def is_run(command: Command) -> bool:
    return not " ".join(command.words).startswith(tuple(NOT_RUN))


def is_slow(command: Command) -> bool:
    return " ".join(command.words).startswith(SLOW)


def test_everything_that_the_readme_names_is_there():
    assert not faults(TEXT)


def test_the_readme_is_short_and_its_links_lead_somewhere():
    assert len(TEXT.splitlines()) <= 150
    links = re.findall(r"\]\(([^)#]+)(?:#([\w-]+))?\)", TEXT)
    assert len(links) > 15
    for path, heading in links:
        assert (ROOT / path).exists(), path
        if heading:
            titles = re.findall(r"^##+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles], heading


def test_the_first_screen_says_what_it_is_and_how_far_to_trust_it():
    first = TEXT.partition("## Install")[0]
    assert len(first.splitlines()) < 30
    assert "docs/images/verdict.png" in first and "weak" in first and "never saw" in first and "AUROC" in first


def test_what_the_readme_shows_of_the_shipped_model_is_what_it_does():
    shown = load_script("readme", ROOT / "docs")
    assert shown.filled(TEXT) == TEXT, "python docs/readme.py writes it anew"
    now = shown.figure().convert("RGB")
    with Image.open(shown.FIGURE) as kept:
        difference = np.abs(np.asarray(kept.convert("RGB"), dtype=float) - np.asarray(now, dtype=float))
    assert difference.mean() < 2, "python docs/readme.py draws it anew"
    assert shown.FIGURE.stat().st_size < 250_000


@pytest.mark.parametrize(
    "wrong",
    [
        "    python scripts/nothing.py --data SOURCE",
        "    python scripts/audit.py --data SOURCE --spilt train",
        "    make nothing",
        "    fakelens photo.jpg --cvs",
        "    fakelens audit --data SOURCE --spilt train",
        "    fakelens train nothing",
        "    fakeless photo.jpg",
        "    torchrun --nproc_per_nod 8 scripts/evaluate.py --model A",
        "```bash\naccelerate launch --num_proceses 8 \\\n    scripts/evaluate.py --model A\n```",
        "```bash\naccelerate launch scripts/evaluate.py --modle A\n```",
        "    python scripts/train.py recipes/nothing.yaml",
        "    python scripts/train.py recipes/custom_cnn.yaml --learning_rte 1",
        "    python scripts/train.py recipes/s2_efficientnet_b2.yaml --phases.7.steps 1",
        "say `--max-frp 0.01`",
        "say `scripts/train.py --kees`",
        "| `s9_nothing` | a recipe |",
        "`modeling/fakelens/data/nothing.py` lists them",
    ],
)
def test_what_is_not_there_is_found(wrong):
    assert len(faults(f"# Title\n\n{wrong}\n")) >= 1


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_python_runs(name, world, monkeypatch, capsys):
    monkeypatch.chdir(world)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", world / "cache")
    block = BLOCKS[name]
    exec(compile(block, name, "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    if "p_fake.csv" in block:
        with (world / "p_fake.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2 and all(0 <= float(row["p_fake"]) <= 1 and Path(row["path"]).is_file() for row in rows)
    else:
        assert re.search(r"\b(real|fake|uncertain)\b", said) and re.search(r"0\.\d", said), said


@pytest.mark.parametrize("command", [c for c in COMMANDS if is_run(c) and not is_slow(c)], ids=lambda c: c.text)
def test_a_command_runs(command, world, monkeypatch, capsys):
    monkeypatch.chdir(world)
    words = tiny(command)
    monkeypatch.setattr(sys, "argv", words[1:] if command.file else words)
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        if command.file:
            runpy.run_path(words[1], run_name="__main__")
        else:
            cli.app()
        status = 0
    except SystemExit as stopped:
        status = stopped.code or 0
    said = capsys.readouterr()
    assert status == 0, said.err
    if command.output:
        assert said.out.count("\n") > 1


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if is_run(c) and is_slow(c)], ids=lambda c: c.text)
def test_a_command_runs_as_a_process_of_its_own(command, world):
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    ranks = [tiny(command)]
    if "--machine_rank" in ranks[0]:
        # Both machines are this one; the page's port may be taken.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ranks[0][ranks[0].index("--main_process_port") + 1] = str(free.getsockname()[1])
        ranks.append(list(ranks[0]))
        ranks[1][ranks[1].index("--machine_rank") + 1] = "1"
    for path in (word for word in ("runs/report", "runs/compared", "out") if word in ranks[0]):
        if command.verb in ("evaluate", "compare"):
            shutil.rmtree(world / path, ignore_errors=True)
    if command.verb == "publish" and "--report" in ranks[0]:  # of this model, whatever another page evaluated last
        model, report = (ranks[0][ranks[0].index(option) + 1] for option in ("--model", "--report"))
        shutil.rmtree(world / report, ignore_errors=True)
        evaluate = [
            "fakelens",
            "evaluate",
            "--model",
            model,
            "--data",
            "SOURCE",
            "--split",
            "test",
            "--output",
            report,
        ]
        subprocess.run(evaluate, cwd=world, env=environment, capture_output=True, check=True)
    logs = [world / f"rank-{number}.log" for number in range(len(ranks))]
    running = [
        subprocess.Popen(words, cwd=world, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)
        for words, log in zip(ranks, logs, strict=True)
    ]
    try:
        for process, log in zip(running, logs, strict=True):
            assert process.wait(280) == 0, log.read_text()[-5000:]
    finally:
        for process in running:
            process.kill()
    said = "".join(log.read_text() for log in logs)
    if command.verb == "evaluate":  # by one process for all, not by each for itself
        assert said.count("The report is in") == 1
