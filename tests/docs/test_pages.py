"""The pages of docs/ name programs, options, files and recipe keys that are there; tests/test_readme.py runs them."""

import pytest

from tests.readme import ROOT, faults


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_a_page_names_nothing_that_is_not_there(path):
    assert not faults(path.read_text(encoding="utf-8"))
