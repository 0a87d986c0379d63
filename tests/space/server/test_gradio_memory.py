"""What the app reaches for inside Gradio: it is still there, it still works, and a Gradio without it is named."""

import gradio as gr
import pytest
from gradio.state_holder import SessionState
from gradio_client import handle_file
from packaging.requirements import Requirement

from fakelens import load_detector
from fakelens.errors import UserError
from tests.abuse import make_image
from tests.space.apps import SPACE, app_script, serving

from server import gradio_memory  # isort: skip  # apps.py says where


@pytest.fixture(scope="module")
def built(tiny_model, tmp_path_factory):
    """The app's blocks, and the running app."""
    detectors = {"tiny": load_detector(tiny_model, "cpu")}
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        build = app_script.build
        patch.setattr(app_script, "build", lambda found: kept.append(build(found)) or kept[0])
        with serving(detectors, tmp_path_factory.mktemp("uploads")) as app:
            yield kept[0], app


def test_the_installed_gradio_has_all_that_is_used():
    """Fails with the name of what a newer Gradio has moved: then mend `gradio_memory.py`, or lower the bound."""
    gradio_memory.check()


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("gradio.state_holder:SessionState.no_such_method", ("self",), "SessionState.no_such_method is gone"),
        ("gradio.no_such_module:Thing", None, "gradio.no_such_module.Thing is gone"),
        ("gradio.state_holder:SessionState._update_value_in_config", ("self",), r"takes \('self', 'key', 'value'\)"),
    ],
)
def test_what_has_moved_is_named_with_the_way_out(monkeypatch, name, parameters, words):
    monkeypatch.setattr(SessionState, "_update_value_in_config", lambda self, key, value: None)
    monkeypatch.setattr(gradio_memory, "LEANS_ON", {name: parameters})
    with pytest.raises(UserError, match=words) as caught:
        gradio_memory.forget_values()
    assert gr.__version__ in str(caught.value) and "pip install -r space/requirements.txt" in str(caught.value)


def test_the_requirements_admit_no_gradio_that_was_not_tried():
    lines = (SPACE / "requirements.txt").read_text().splitlines()
    (wanted,) = (Requirement(line).specifier for line in lines if line.startswith("gradio["))
    assert wanted.contains(gr.__version__), f"requirements.txt asks for {wanted}, and {gr.__version__} is installed"
    major, minor, *_ = map(int, gr.__version__.split("."))
    assert not wanted.contains(f"{major}.{minor + 1}.0"), "its upper bound is the next minor version"


def test_gradio_remembers_neither_an_image_nor_its_path(built, tmp_path):
    blocks, app = built
    make_image(200, 150).save(tmp_path / "secret.png")
    client = app.client()
    assert client.predict(handle_file(tmp_path / "secret.png"), api_name="/classify")["error"] is None
    client.predict([handle_file(tmp_path / "secret.png")], api_name="/classify_batch")
    sessions = blocks.app.state_holder.session_data.values()
    assert sessions  # else this test looks at nothing
    for session in sessions:
        values = [str((config.get("props") or {}).get("value")) for config in session.config_values.values()]
        assert values and not any("secret" in value or str(app.uploads) in value for value in values), (
            "Gradio notes what pages were sent in another way than SessionState._update_value_in_config"
        )
    left = [path for block in blocks.blocks.values() for path in block.temp_files]
    assert not left, "Gradio notes uploads elsewhere than in the blocks' temp_files"
