"""The trees in the docs are the package, and no folder of it is too full to look through.

`python -m tests.test_architecture` draws them anew.
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme import ROOT

PACKAGE = ROOT / "modeling" / "fakelens"
MOST = 12  # Python files in a folder, `__init__.py` included
INDENT, COLUMN, WIDTH = "  ", 20, 120
BEGIN, END = "<!-- tree: begin -->\n", "<!-- tree: end -->"
TREES = {ROOT / "docs" / "architecture.md": 3}  # a page -> how deep its tree goes


def packages(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/__init__.py"))


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def lines(folder: Path, deep: int, indent: str) -> Iterator[tuple[str, str]]:
    """Yield name and purpose of each package; where the tree goes deeper, of those inside, and files by name."""
    files = sorted(path.stem for path in folder.glob("*.py") if path.name != "__init__.py")
    if indent != INDENT:
        yield from (("", line) for line in textwrap.wrap(", ".join(files), WIDTH - COLUMN))
    for inner in packages(folder):
        yield f"{indent}{inner.name}/", first_line(inner / "__init__.py")
        if deep > 1:
            yield from lines(inner, deep - 1, indent + INDENT)


def drawn(deep: int) -> str:
    found = list(lines(PACKAGE, deep, INDENT))
    found += [(f"{INDENT}{name}.py", first_line(PACKAGE / f"{name}.py")) for name in ("atomic", "errors")]
    tree = "\n".join(f"{name:{COLUMN}}{about}" for name, about in found)
    return f"```\nmodeling/fakelens/\n{tree}\n```\n"


def with_tree(page: str, deep: int) -> str:
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{drawn(deep)}{END}{rest.partition(END)[2]}"


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.name)
def test_the_tree_is_the_package(path):
    page = path.read_text(encoding="utf-8")
    assert page == with_tree(page, TREES[path]), "python -m tests.test_architecture draws it anew"


@pytest.mark.parametrize("root", [PACKAGE, ROOT / "tests"], ids=lambda path: path.name)
def test_no_folder_has_more_than_a_dozen_files(root):
    counts = {path: len(list(path.glob("*.py"))) for path in [root, *root.rglob("*")] if path.is_dir()}
    assert not {path.relative_to(ROOT).as_posix(): count for path, count in counts.items() if count > MOST}


def test_every_file_says_what_it_is_for():
    silent = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if not first_line(path)]
    assert not silent


if __name__ == "__main__":
    for page, depth in TREES.items():
        page.write_text(with_tree(page.read_text(encoding="utf-8"), depth), encoding="utf-8")
