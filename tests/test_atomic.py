"""A folder is there whole or as it was."""

from pathlib import Path

import pytest

from fakelens.atomic import atomic_directory


def test_the_new_takes_the_place_of_the_old(tmp_path):
    folder = tmp_path / "deep" / "place"
    for text in ("first", "second"):
        with atomic_directory(folder) as new:
            (new / f"{text}.txt").write_text(text)
    assert [path.name for path in folder.iterdir()] == ["second.txt"]
    assert list(folder.parent.iterdir()) == [folder]


def test_what_fails_leaves_the_old_and_nothing_else(tmp_path, monkeypatch):
    folder = tmp_path / "place"
    with atomic_directory(folder) as new:
        (new / "kept.txt").write_text("kept")

    def rename(self, target, rename=Path.rename):
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with pytest.raises(RuntimeError, match="on the way"), atomic_directory(folder) as new:
        (new / "half.txt").write_text("half")
        raise RuntimeError("on the way")
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space left"), atomic_directory(folder) as new:
        (new / "other.txt").write_text("other")
    assert [path.name for path in folder.iterdir()] == ["kept.txt"]
    assert list(tmp_path.iterdir()) == [folder]
