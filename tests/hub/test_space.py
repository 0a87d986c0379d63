"""What a Space's repo consists of, and a push of it to the local Hub."""

import ast
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fakelens
from fakelens import __version__
from fakelens.errors import UserError
from fakelens.hub.publish import assemble
from fakelens.hub.space import collect_space, publish_space
from fakelens.zoo.shipped import SHIPPED_FOLDER
from tests.conftest import SCRIPTS
from tests.hub.pushing import tree
from tests.hub_fixture import READER

PACKAGE = Path(fakelens.__file__).parent
SPACE = SCRIPTS.parent / "space"
REPO, MODEL = "user/space", "user/tiny"


def test_a_space_stands_on_its_own(tmp_path):
    files = collect_space(SPACE, [MODEL, "user/other"])
    assemble(files, tmp_path / "space", [SPACE])
    assert tree(tmp_path / "space").keys() == files.keys()
    top = {"README.md", "app.py", "page.js", "requirements.txt", "style.css"}
    assert {name for name in files if "/" not in name} == top
    for kind in ("pages/*.py", "server/*.py", "examples/*"):
        folder = kind.partition("/")[0]
        assert {name for name in files if name.startswith(f"{folder}/")} == {
            f"{folder}/{path.name}" for path in SPACE.glob(kind)
        }
    card = metadata_load(tmp_path / "space" / "README.md")
    assert card["models"] == [MODEL, "user/other"] and card["app_file"] == "app.py" and card["sdk"] == "gradio"
    assert card["sdk_version"] == version("gradio") and card["license"] == "apache-2.0"
    assert card["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"title", "emoji", "pinned", "tags", "short_description"} <= card.keys()
    pins = dict(line.split("==") for line in files["requirements.txt"].decode().splitlines())
    assert pins["gradio[mcp]"] == card["sdk_version"] and pins["transformers"] == version("transformers")
    # The model inside the package travels, too, and needs no front matter where it is the only one.
    weights = tree(tmp_path / "space")["fakelens/shipped/patch_lens/model.safetensors"]
    assert weights == (SHIPPED_FOLDER / "model.safetensors").read_bytes()
    alone = collect_space(SPACE, [])
    assert alone.keys() == files.keys() and b"\nmodels:" not in alone["README.md"]
    # The package is found beside the app, not where it is installed for these tests, and knows its version.
    code = "import fakelens, sys; print(fakelens.__file__, fakelens.__version__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "space", capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "space" / "fakelens" / "__init__.py"), __version__], done.stderr


def imported(path, seen):
    """Third-party modules that a file of ours imports, by way of our other files too."""
    if path in seen or not path.is_file():
        return set()
    seen.add(path)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)] if node.module else []
            names = [f"fakelens.{path.parent.name}.{name}" for name in names] if node.level else names
        for name in names:
            top, *rest = name.split(".")
            if top in ("fakelens", "pages", "server"):
                module = (PACKAGE if top == "fakelens" else SPACE / top).joinpath(*rest)
                found |= imported(module.with_suffix(".py"), seen) | imported(module / "__init__.py", seen)
            else:
                found.add(top)
    return found - sys.stdlib_module_names


def test_the_requirements_name_all_that_the_app_imports():
    wanted = {Requirement(line).name for line in (SPACE / "requirements.txt").read_text().splitlines()[1:]}
    distributions = packages_distributions()
    # Without these, ONNX models are refused in words.
    optional = {"onnx", "onnxruntime"}
    for module in imported(SPACE / "app.py", set()) - optional:
        assert {canonicalize_name(name) for name in distributions[module]} & wanted, module


@pytest.mark.parametrize(
    ("change", "models", "words"),
    [
        ({}, ["runs/demo/model"], "no repo name|no full repo name"),
        ({"app.py": None}, [MODEL], "holds no app.py"),
        ({"style.css": None}, [MODEL], "holds no style.css"),
        (
            {"pages/image.py": f"token = 'hf_{'a' * 34}'\n"},
            [MODEL],
            "pages/image.py, line 1 holds a Hugging Face token",
        ),
        ({"page.js": f"const token = 'hf_{'a' * 34}';\n"}, [MODEL], "page.js, line 1 holds a Hugging Face token"),
        (
            {"requirements.txt": "gradio\nno-such-package>=1 # ours\n"},
            [MODEL],
            "no-such-package, which is not installed",
        ),
        ({"requirements.txt": "gradio >> 1\n"}, [MODEL], "no requirement"),
        ({"README.md": "---\ntitle: [\n---\n"}, [MODEL], "front matter of .* cannot be read"),
        ({"app.py": f"token = 'hf_{'a' * 34}'\n"}, [MODEL], "app.py, line 1 holds a Hugging Face token"),
        ({"app.py": "MODEL = '/home/somebody/model'\n"}, [MODEL], "path of this machine"),
    ],
)
def test_what_cannot_be_a_space_is_named(tmp_path, change, models, words):
    (tmp_path / "pages").mkdir()
    for path in (*SPACE.glob("*.*"), *SPACE.glob("pages/*.py")):
        (tmp_path / path.relative_to(SPACE)).write_bytes(path.read_bytes())
    for name, text in change.items():
        (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        collect_space(tmp_path, models)


def test_the_shipped_model_is_screened_and_missed(tmp_path, monkeypatch):
    package = tmp_path / "fakelens"
    monkeypatch.setattr("fakelens.hub.space.fakelens.__file__", str(package / "__init__.py"))
    with pytest.raises(UserError, match="this copy of fakelens holds none.*--models"):
        collect_space(SPACE, [])
    copy = shutil.copytree(SHIPPED_FOLDER, package / "shipped" / "patch_lens", copy_function=shutil.copyfile)
    copy.chmod(0o755)  # the checkout may be read-only
    assert "fakelens/shipped/patch_lens/model.safetensors" in collect_space(SPACE, [])
    (package / "shipped" / "patch_lens" / "optimizer.pt").write_bytes(b"0")
    with pytest.raises(UserError, match="optimizer.pt is not among the files"):
        collect_space(SPACE, [MODEL])


def test_a_build_of_ones_own_is_pinned_to_what_the_index_has(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("torch>=2\ngradio[mcp,oauth]\n\n")
    monkeypatch.setattr("fakelens.hub.space.version", lambda name: "2.15.0+cpu")
    from fakelens.hub.space import pinned

    assert pinned(tmp_path / "requirements.txt") == "torch==2.15.0\ngradio[mcp,oauth]==2.15.0\n"


def test_a_push_again_repatches_the_package_and_leaves_the_rest(at_the_hub, publish, model):
    files = collect_space(SPACE, [MODEL])
    with pytest.raises(UserError, match=f"Looking for the model {MODEL} on the Hub failed"):
        publish_space(files, REPO, [MODEL])
    assert not at_the_hub.repos
    assert publish("--model", model, "--repo-id", MODEL).returncode == 0

    first = publish_space(files, REPO, [MODEL], private=True)
    space = at_the_hub.repo(REPO, "space")
    assert first.url == f"{at_the_hub.url}/spaces/{REPO}" and first.changed and space.private
    assert first.commit == space.at().sha and len(space.history()) == 2
    content = {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in files.items()}
    assert space.files() == content | {".gitattributes": space.files()[".gitattributes"]}
    (created,) = (r.json() for r in at_the_hub.requests if r.path == "/api/repos/create" and b'"space"' in r.body)
    assert created["sdk"] == "gradio" and created["visibility"] == "private"
    assert not publish_space(files, REPO, [MODEL]).changed

    # A lost answer makes no second commit; an old module goes, a person's file stays.
    blob = type(space.at().tree["app.py"])
    theirs = {
        "fakelens/old.py": blob(b"pass\n"),
        "pages/old.py": blob(b"pass\n"),
        "fakelens-0.0.1.dist-info/METADATA": blob(b""),
        "my.png": blob(b"1"),
    }
    before = space.commit("main", "by hand", space.at().sha, space.at().tree | theirs)
    at_the_hub.lose_answer_at(6)
    assert publish_space(files, REPO, [MODEL]).commit == space.at().sha
    assert space.at().parent == before.sha and space.files().keys() - content.keys() == {".gitattributes", "my.png"}

    suggested = publish_space(files | {"app.py": b"pass\n"}, REPO, [MODEL], create_pr=True)
    assert suggested.url.endswith(f"{REPO}/discussions/1") and space.files("refs/pr/1")["app.py"] == b"pass\n"
    assert space.files()["app.py"] == content["app.py"]


def test_a_space_that_is_public_or_of_another_app_is_left_alone(at_the_hub, publish, model, monkeypatch):
    files = collect_space(SPACE, [MODEL])
    assert publish("--model", model, "--repo-id", MODEL).returncode == 0
    publish_space(files, REPO, [MODEL])
    with pytest.raises(UserError, match=f"exists and is public.*spaces/{REPO}/settings"):
        publish_space(files, REPO, [MODEL], private=True)
    space = at_the_hub.repo(REPO, "space")
    blob = type(space.at().tree["app.py"])
    there = space.commit("main", "by hand", space.at().sha, {"app.py": blob(b"print()\n")})
    with pytest.raises(UserError, match="holds another app"):
        publish_space(files, REPO, [MODEL])
    assert space.at() == there
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(UserError, match="403"):
        publish_space(files, "user/second", [MODEL])
    assert ("space", "user/second") not in at_the_hub.repos


def test_the_script_writes_a_space_again_and_pushes_it(at_the_hub, publish, model, tmp_path):
    arguments = ("--space", "true", "--repo-id", REPO, "--models", MODEL)
    for _ in range(2):
        run = publish(*arguments, "--dry-run", tmp_path / "space")
        assert run.returncode == 0 and "files of the Space user/space are in" in run.stdout, run.stderr
    assert publish("--model", model, "--repo-id", MODEL).returncode == 0
    run = publish(*arguments)
    assert run.stdout.startswith(f"{at_the_hub.url}/spaces/{REPO}\ncommit "), run.stderr
    assert at_the_hub.repo(REPO, "space").files().items() >= tree(tmp_path / "space").items()
    assert publish(*arguments).stdout.endswith("(nothing to change)\n")
    alone = publish("--space", "true", "--repo-id", REPO, "--dry-run", tmp_path / "alone")
    assert alone.returncode == 0 and "fakelens/shipped/patch_lens/config.json" in tree(tmp_path / "alone")
    for wrong in (("--repo-id", REPO), (*arguments, "--model", model)):
        assert publish(*wrong).returncode == 2
