"""The notebook runs as it stands, offline, and its cells compute what its text says."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient

from tests.readme import ROOT

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
# Run after the last cell, in the same kernel: what its variables hold.
LOOK = """
import json, numpy as np
json.dumps({
    "verdicts": [[v.verdict, v.score, v.error] for v in verdicts], "steps": len(steps),
    "maps": [[list(m.shape), float(np.ptp(m))] for m in (heat, by_hiding)], "image": list(image.size),
    "published": [{row["label"]: row["score"] for row in scores} for scores in published],
    "tuned": load_detector(tuned, device="cpu").scores([Image.open(path).convert("RGB") for path in files]).tolist(),
})
"""


def test_what_is_kept_in_git_has_no_outputs_and_no_paths_of_anyones_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 9 and not any(cell.outputs or cell.execution_count for cell in code)
    assert not re.search(r"/(home|root|Users|work|tmp|content)/|[A-Z]:\\\\", text)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"} and not any(c.metadata for c in notebook.cells)
    said = "\n".join(cell.source for cell in notebook.cells)
    for named in re.findall(r"(?:recipes|scripts)/\w+\.(?:yaml|py)", said):
        assert (ROOT / named).is_file(), named


class ThisPython(KernelSpecManager):
    """Finds one kernel: the interpreter that runs the tests, whatever is installed for the user."""

    def get_kernel_spec(self, kernel_name):
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=start, display_name=kernel_name, language="python")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_cell_runs(sample, tmp_path):
    from jupyter_client.manager import AsyncKernelManager

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LOOK))
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython())
    client = NotebookClient(notebook, km=kernel, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    found = json.loads(shown.pop()[-1]["data"]["text/plain"].strip("'"))
    assert len(found["verdicts"]) == 6
    for verdict, score, error in found["verdicts"]:
        assert verdict in {"real", "fake", "uncertain"} and 0 <= score <= 1 and error is None
    assert found["steps"] == 10
    for shape, extent in found["maps"]:
        assert shape == found["image"][::-1] and extent > 0
    # What the published folder says by transformers alone is what the trained model says.
    assert [row["fake"] for row in found["published"]] == pytest.approx(found["tuned"], abs=1e-4)
    assert sum("image/png" in output.get("data", {}) for outputs in shown for output in outputs) == 2
    runs = tmp_path / "runs" / "quickstart"
    report = json.loads((runs / "report" / "report.json").read_text(encoding="utf-8"))
    assert set(report["models"][0]["results"]["test"]) == {"raw", "normalised"}
    assert {"README.md", "config.json", "model.safetensors"} <= {path.name for path in (runs / "hub").iterdir()}
    assert len(list((runs / "images" / "train").glob("*/*.jpg"))) == 120
    assert {path.name for path in Path(tmp_path).iterdir()} == {"runs"}
