"""The tests leave the checkout as it is, and whatever would change it fails by name."""

import os
from pathlib import Path

import pytest

from tests.checkout.left_alone import ROOT, left_alone

CHANGES = {
    "a new file": lambda path: path.write_text("1"),
    "a file opened by the system": lambda path: os.open(path, os.O_CREAT | os.O_WRONLY),
    "a file that is added to": lambda path: (ROOT / "README.md").open("a"),
    "a new folder": lambda path: path.mkdir(),
    "new folders": lambda path: (path / "inner").mkdir(parents=True),
    "a link": lambda path: path.symlink_to(ROOT),
    "a file that is deleted": lambda path: (ROOT / "README.md").unlink(),
    "a relative path": lambda path: Path(os.path.relpath(path)).write_text("1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_refused(change):
    path = ROOT / "tests" / "left-behind"
    with pytest.raises(AssertionError, match="leave the checkout as it is"):
        change(path)
    assert not os.path.lexists(path) and (ROOT / "README.md").is_file()


def test_a_file_is_not_moved_into_it(tmp_path):
    (tmp_path / "a").write_text("1")
    with pytest.raises(AssertionError, match="left-behind belongs into tmp_path"):
        (tmp_path / "a").rename(ROOT / "left-behind")
    assert (tmp_path / "a").is_file()


def test_reading_is_not_refused_nor_are_the_tests_own_folders(tmp_path):
    assert (ROOT / "README.md").read_text(encoding="utf-8")
    (ROOT / "tests").mkdir(exist_ok=True)  # is there already
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("1")
    with left_alone(tmp_path):
        (tmp_path / "a" / "b" / "c").unlink()
