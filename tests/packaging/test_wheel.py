"""The wheel, installed outside the checkout: everything that the README promises of it, offline and at tiny size."""

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.abuse import make_image
from tests.conftest import SCRIPTS

pytestmark = pytest.mark.slow
ROOT = SCRIPTS.parent
# What the build reads, and nothing that an earlier one left.
SOURCES = ("modeling", "recipes", "model_cards", "space", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md",
           "LICENSE", "CHANGELOG.md", "CITATION.cff")  # fmt: skip
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


def run(*command, cwd, env=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist, built by the backend that pyproject.toml names from a copy of the sources."""
    folder = tmp_path_factory.mktemp("built from a copy")
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    program = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run(sys.executable, "-c", program, cwd=folder, env=environment)
    (wheel,), (sdist,) = ((folder / "dist").glob(kind) for kind in ("*.whl", "*.tar.gz"))
    return wheel, sdist


def test_wheel_and_sdist_hold_all_of_it(built):
    wheel, sdist = built
    inside = set(zipfile.ZipFile(wheel).namelist())
    for name in ("py.typed", "shipped/patch_lens/model.safetensors", "resources/model_cards/TEMPLATE.md",
                 "resources/space/app.py", "resources/space/pages/judge.py", "resources/space/browser/worker.js",
                 "resources/recipes/accelerate/eight_gpus.yaml", "cli/verbs/training/train.py"):  # fmt: skip
        assert f"fakelens/{name}" in inside
    assert {f"fakelens/resources/recipes/{name}.yaml" for name in RECIPES} <= inside
    assert not [name for name in inside if "node_modules" in name or "__pycache__" in name or name.startswith("tests")]
    with tarfile.open(sdist) as opened:
        packed = {name.partition("/")[2] for name in opened.getnames()}
    assert {"setup.py", "pyproject.toml", "model_cards/TEMPLATE.md", "space/app.py", "recipes/demo.yaml"} <= packed
    assert not [name for name in packed if "node_modules" in name]


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A new environment with the wheel, which sees the libraries of this one and nothing of the checkout."""
    wheel, _ = built
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    there = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip())
    install = ("-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run(sys.executable, *install, "--target", there, wheel, cwd=folder)
    # After the environment's own: an editable fakelens among these libraries comes second.
    (there / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return python


@pytest.fixture(scope="module")
def world(installed, tmp_path_factory):
    """A folder with images to work on, and the call of a verb in it."""
    folder = tmp_path_factory.mktemp("world")
    for number, (split, kind) in enumerate((s, k) for s in ("train", "validation", "test") for k in ("real", "fake")):
        (folder / "data" / split / kind).mkdir(parents=True)
        for image in range(8):
            made = make_image(40, 40, 100 * number + image)
            made.save(folder / "data" / split / kind / f"{image}.png")
    (folder / "raw" / "real").mkdir(parents=True)
    (folder / "raw" / "fake").mkdir()
    for image in range(20):
        make_image(40, 40, 1000 + image).save(folder / "raw" / ("real", "fake")[image % 2] / f"{image}.png")
    make_image(64, 48, 5).save(folder / "photo.jpg")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def fakelens(*words):
        return run(installed, "-m", "fakelens", *words, cwd=folder, env=environment)

    fakelens.folder = folder
    return fakelens


def test_it_is_the_wheel_that_runs(installed, world):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = "import fakelens; from fakelens.resources import resource; print(fakelens.__file__, resource('space'))"
    said = run(installed, "-c", program, cwd=world.folder, env=environment)
    assert str(ROOT) not in said and str(installed.parents[1]) in said
    assert world("--version").startswith("fakelens ")


@pytest.mark.timeout(1200)  # a process of its own for each verb, which imports torch anew
def test_it_detects_prepares_trains_evaluates_publishes_and_builds_the_space(world):
    (row,) = [json.loads(line) for line in world("photo.jpg").splitlines()]
    assert row["model"] == "patch_lens" and row["verdict"] in ("real", "fake", "uncertain")
    world("prepare", "--data", "raw", "--output", "processed")
    assert (world.folder / "processed" / "prepare.json").is_file()
    tiny = ("--model_options", '{"hidden_sizes": [4, 8], "classifier_size": 4}', "--image_size", "32")
    quiet = ("--max_steps", "2", "--report_to", "none", "--use_cpu", "true", "--output_dir", "run")
    world("train", "custom_cnn", "--data", "data", "--per_device_train_batch_size", "4", *tiny, *quiet)
    record = json.loads((world.folder / "run" / "model" / "run.json").read_text())
    assert record["steps"] == 2 and record["license"] is None  # the recipe's own data are OpenFake's
    world(
        "evaluate",
        "--model",
        "run/model",
        "--data",
        "data",
        "--views",
        "raw",
        "--audit",
        "false",
        "--output",
        "report",
    )
    assert (world.folder / "report" / "report.md").is_file()
    publish = ("publish", "--repo-id", "you/tiny", "--examples", "none")
    world(*publish, "--model", "run/model", "--report", "report", "--dry-run", "hub")
    card = (world.folder / "hub" / "README.md").read_text()
    assert "not-recorded" in card and "fakelens train recipe.yaml" in card
    world("publish", "--space", "true", "--repo-id", "you/app", "--dry-run", "app")
    app = world.folder / "app"
    assert (app / "app.py").is_file() and (app / "fakelens" / "shipped" / "patch_lens" / "model.safetensors").is_file()
    assert not list((app / "fakelens" / "resources").rglob("app.py"))  # the app once
