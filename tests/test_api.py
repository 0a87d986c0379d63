"""The public API: one list in the package and in the docs, its examples run, and one image or many go in."""

import ast
import doctest
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

import fakelens
from fakelens import DetectorImageProcessor, EnsembleImageProcessor, Verdict, load_detector
from tests.abuse import make_image
from tests.readme import ROOT

PAGE = ROOT / "docs" / "api.md"
PACKAGE = ROOT / "modeling" / "fakelens"


@pytest.fixture
def images(tmp_path, monkeypatch):
    """The folder in which examples run, with the two images that they name."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("photo.jpg", "other.png")):
        make_image(96, 64, number).save(name)
    return tmp_path


@pytest.fixture(params=["str", "Path", "bytes", "PIL"])
def source(request, images):
    """One image in each of the forms that a detector takes."""
    path = images / "other.png"
    forms = {"str": str(path), "Path": path, "bytes": path.read_bytes(), "PIL": make_image(96, 64, 1)}
    return forms[request.param]


def documented() -> list[str]:
    return re.findall(r"^::: fakelens\.(\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def names_for_type_checkers() -> Iterator[str]:
    for node in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If):
            yield from (
                alias.name for each in ast.walk(node) if isinstance(each, ast.ImportFrom) for alias in each.names
            )


def examples(name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(recurse=False).find(getattr(fakelens, name), name)
    return [test for test in found if test.examples]


def run(tests: list[doctest.DocTest]) -> int:
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    return runner.summarize(verbose=False).failed


def test_package_docs_and_type_checkers_have_one_list():
    assert len(set(fakelens.__all__)) == len(fakelens.__all__)
    assert sorted(documented()) == sorted(fakelens.__all__)
    assert sorted(names_for_type_checkers()) == sorted(fakelens.__all__)


def test_public_names_are_listed_before_they_are_loaded():
    said = subprocess.run(
        [sys.executable, "-c", "import fakelens, sys; print('torch' in sys.modules, *dir(fakelens))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said[0] == "False"
    assert {*fakelens.__all__, "__version__"} <= set(said)


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="nothing"):
        fakelens.nothing  # noqa: B018  looking it up is what raises


def test_the_version_and_the_marker_of_a_typed_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert fakelens.__version__ == project["project"]["version"]
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["fakelens"]


@pytest.mark.parametrize("name", fakelens.__all__)
def test_the_examples_of_a_public_name_run(name, images):
    tests = examples(name)
    assert tests, f"{name} has no example"
    assert not run(tests)


@pytest.mark.parametrize("name", fakelens.__all__)
def test_a_public_docstring_says_what_goes_in_and_what_comes_out(name):
    thing = getattr(fakelens, name)
    sections = re.findall(r"^ *(\w+):$", thing.__doc__, flags=re.MULTILINE)
    assert "Args" in sections or "Attributes" in sections or name in ("UserError", "DetectorPreTrainedModel")
    if not isinstance(thing, type):
        assert {"Returns", "Raises"} <= set(sections)
    if name.endswith("ForImageClassification"):
        assert "Source: " in thing.__doc__


def test_the_examples_of_the_page_run(images):
    text = PAGE.read_text(encoding="utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 3
    assert not run([test])


def test_one_image_gives_one_verdict(tiny_model, source):
    detector = load_detector(tiny_model, device="cpu")
    verdict = detector(source)
    assert isinstance(verdict, Verdict) and verdict.error is None
    assert detector([source]) == [verdict]
    many = detector(each for each in (source, source))
    assert [each.verdict for each in many] == [verdict.verdict] * 2
    assert [each.score for each in many] == pytest.approx([verdict.score] * 2, abs=1e-6)


def test_no_images_give_no_verdicts(tiny_model):
    assert load_detector(tiny_model, device="cpu")([]) == []


def test_one_image_that_is_not_there_gives_one_verdict_with_its_error(tiny_model, images):
    verdict = load_detector(tiny_model, device="cpu")("missing.jpg")
    assert isinstance(verdict, Verdict) and verdict.verdict is None and verdict.error


@pytest.mark.parametrize("kind", ["detector", "ensemble"])
def test_a_processor_takes_one_image_or_many(kind):
    processor = DetectorImageProcessor(size={"height": 16, "width": 16})
    if kind == "ensemble":
        processor = EnsembleImageProcessor(members=[processor.to_dict()])
    name = processor.model_input_names[0]
    one = processor(make_image(40, 30), return_tensors="pt")[name]
    many = processor([make_image(40, 30), make_image(30, 40, 1)], return_tensors="pt")[name]
    assert one.shape == (1, 3, 16, 16) and many.shape == (2, 3, 16, 16)
    assert one[0].equal(many[0])
