"""Everything that docs/architecture.md names is there, and no function of the package only passes its arguments on."""

import ast
import re
from pathlib import Path

import pytest

from tests.readme import ROOT

PACKAGE = ROOT / "modeling" / "fakelens"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w./-]+\.(?:py|md|toml))(?:::([\w.]+))?`")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def find(path: str) -> Path | None:
    """Return a file or folder that the page names, relative to the package or to the checkout."""
    return next((base / path for base in (PACKAGE, ROOT) if (base / path).exists()), None)


def defines(path: Path, name: str) -> bool:
    """Tell whether a file defines `function`, `Class` or `Class.method`."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for part in name.split("."):
        found = [node for node in body if isinstance(node, ast.ClassDef | FUNCTIONS) and node.name == part]
        if not found:
            return False
        body = found[-1].body
    return True


def faults(page: str) -> list[str]:
    """Return what a page names and what is not there."""
    found = []
    for path, name in NAMED.findall(page):
        file = find(path)
        if file is None or (name and not defines(file, name)):
            found.append(f"{path}::{name}")
    return found


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ") and "`" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def only_forwards(node: ast.FunctionDef) -> bool:
    """Tell whether a function only calls another one with the very arguments that it was given, in their order."""
    body = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr) or not isinstance(body[0].value, ast.Call):
        return False
    call = body[0].value
    taken = [each.arg for each in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]
    given = [ast.unparse(each) for each in call.args] + [ast.unparse(each.value) for each in call.keywords]
    return isinstance(call.func, ast.Name) and bool(taken) and given == taken


def test_everything_that_the_page_names_is_there():
    assert not faults(PAGE)


@pytest.mark.parametrize(
    "wrong", ["`cli/nothing.py`", "`cli/app.py::nothing`", "`inference/detector.py::Detector.nothing`", "`a/b.md`"]
)
def test_what_is_not_there_is_found(wrong):
    assert len(faults(f"see {wrong} for it")) == 1


def test_each_journey_names_a_function_at_each_hop():
    hops = rows("Three journeys")
    assert len(hops) > 40
    assert all(re.fullmatch(r"`[\w/]+\.py::[\w.]+`", hop) and does for hop, does in hops)
    assert len(section("Three journeys").split("|---|")) == 4


def test_twenty_things_are_where_the_page_says():
    things = rows("Where to look")
    assert len({thing for thing, _ in things}) >= 20
    for _, where in things:
        path, _, name = where.strip("`").partition("::")
        assert find(path), where
        assert not name or defines(find(path), name), where


def test_no_function_only_passes_its_arguments_on():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and only_forwards(node)
    ]
    assert not found


@pytest.mark.parametrize(
    ("code", "forwards"),
    [
        ('def f(a, b):\n    """Say."""\n    return g(a, b)', True),
        ("def f(a, b):\n    return g(a, b=b)", True),
        ("def f(a, b):\n    return g(b, a)", False),
        ("def f(a):\n    return g(a, 1)", False),
        ("def f():\n    return g()", False),
    ],
)
def test_functions_that_only_pass_arguments_on_are_known(code, forwards):
    assert only_forwards(ast.parse(code).body[0]) is forwards
