"""docs/scaling.md: its recipe for an engine gives what the detector gives, in the types that the engine is told."""

import io
import re
from importlib.util import find_spec

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakelens.inference.detector import load_detector
from tests.abuse import make_image
from tests.readme import ROOT, python_blocks

FUNCTION, ENGINE = python_blocks((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"))
TYPES = {"string": pa.string(), "double": pa.float64()}  # Spark's names for them


def encoded(seed):
    file = io.BytesIO()
    make_image(seed=seed).save(file, format="PNG")
    return file.getvalue()


def recipe():
    """Return what the page's first block defines."""
    names = {}
    exec(compile(FUNCTION, "docs/scaling.md", "exec"), names)
    return names


def test_the_recipe_has_twenty_lines_at_most():
    assert len([line for line in (FUNCTION + ENGINE).splitlines() if line.strip()]) <= 20


def test_its_function_scores_batches_as_the_engine_hands_them_over():
    images = [encoded(0), encoded(1), b"no image", None]
    batches = [
        pa.RecordBatch.from_pydict({"bytes": pa.array(part, pa.binary()), "path": pa.array(names, pa.string())})
        for part, names in ((images[:2], ["a.png", None]), (images[2:], ["c.png", "d.png"]))
    ]
    found = pa.Table.from_batches(list(recipe()["score"](iter(batches))))
    told = re.search(r'mapInArrow\(score, "(.+)"\)', ENGINE)[1].split(", ")
    assert found.schema.equals(pa.schema({name: TYPES[kind] for name, kind in map(str.split, told)}))
    verdicts = load_detector("patch_lens")([images[0], images[1], b"no image", b""])
    assert found["score"].to_pylist() == pytest.approx([verdict.score for verdict in verdicts])
    assert found["verdict"].to_pylist() == [verdict.verdict for verdict in verdicts]
    assert found["error"].to_pylist() == [verdict.error for verdict in verdicts]
    assert found["path"].to_pylist() == ["a.png", None, "c.png", "d.png"]


@pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed")
def test_the_recipe_runs_in_the_engine(tmp_path):
    rows = [{"image": {"bytes": encoded(seed), "path": f"{seed}.png"}} for seed in range(3)]
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "data" / "a.parquet")
    local = ENGINE.replace('format("huggingface").load("USER/NAME")', f'parquet("{tmp_path / "data"}")')
    local = local.replace("builder.", 'builder.master("local[1]").').replace('"scores"', f'"{tmp_path / "scores"}"')
    names = recipe()
    try:
        exec(compile(local, "docs/scaling.md", "exec"), names)
    finally:
        names["spark"].stop()
    assert sorted(pq.read_table(tmp_path / "scores")["path"].to_pylist()) == ["0.png", "1.png", "2.png"]
