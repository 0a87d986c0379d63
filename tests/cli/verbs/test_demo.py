"""The demo's last table: the model inside the package on photographs and on fakes that are made there and then."""

from PIL import Image

from fakelens.cli.verbs.publishing import demo


def test_the_last_table_counts_what_the_shipped_model_got_right(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "FAKES_STEPS", 2)
    images = demo.save_photographs_and_fakes(tmp_path / "shipped")
    assert [path.name.partition("-")[0] for path in images] == ["photograph"] * 4 + ["reconstruction"] * 4
    for photograph, fake in zip(images[:4], images[4:], strict=True):
        first, second = Image.open(photograph), Image.open(fake)
        assert first.size == second.size and first.quantization == second.quantization
        assert first.tobytes() != second.tobytes()
    table, count = demo.score_with_the_shipped_model(images)
    what, verdicts, marks = (list(table.columns[number].cells) for number in (1, 3, 4))
    truth = {"photograph": "real", "reconstruction": "fake"}
    expected = [
        "uncertain" if verdict == "uncertain" else "right" if verdict == truth[kind] else "wrong"
        for kind, verdict in zip(what, verdicts, strict=True)
    ]
    assert marks == expected and len(marks) == 8
    right, wrong, uncertain = (marks.count(mark) for mark in ("right", "wrong", "uncertain"))
    assert f"got {right} of 8 right and {wrong} wrong, and was uncertain of {uncertain}." in count
