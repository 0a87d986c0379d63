"""What a person sees on a terminal: verdicts in words, whole names, a line that sums up, a bar that moves."""

import pytest
from rich.console import Console
from rich.progress import Progress

from fakelens.cli import detect
from fakelens.cli.inputs.expand import Input
from fakelens.cli.output import printing
from fakelens.inference.detector import load_detector
from fakelens.inference.thresholds import Thresholds
from fakelens.inference.verdict import Verdict, error_row, short_form, verdict_row, verdict_sentence
from tests.abuse import make_image

BAND = Thresholds(0.29, 0.979, 0.5, 0.01)
NAME = "holidays/2024/the-long-name-of-a-photograph.jpg"


def row(name, score):
    return verdict_row(name, "m", Verdict(BAND.verdict(score), score, verdict_sentence(score, BAND)))


@pytest.fixture
def printed(monkeypatch, capsys):
    def show(*rows):
        monkeypatch.setattr(printing, "Console", lambda: Console(width=80))
        failed = printing.write_table(iter(rows), f"m: {BAND.in_words()}")
        return failed, capsys.readouterr().out

    return show


def test_a_table_of_many_says_each_verdict_in_short_and_sums_up(printed):
    failed, said = printed(row(NAME, 0.1), row("b.png", 0.804), row("c.png", 0.99), error_row("d", "m", "no image"))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if line.startswith("│")]
    words = " ".join(line[3] for line in lines)
    assert failed == 1 and "Probably a photograph." in words and "no image" in words
    assert "It leans towards AI-generated," in words
    end = "4 images: 1 real, 1 uncertain, 1 fake, 1 not scored. Scored by m: real below 0.29, fake from 0.979 on"
    assert end in " ".join(said.split()) and "…" not in said
    assert max(map(len, said.splitlines())) == 80 and all(len(line) == 4 for line in lines)
    # The long name is there, folded at most.
    assert "".join(line[0] for line in lines).startswith(NAME)


def test_one_image_gets_the_whole_sentence(printed):
    _, said = printed(row("b.png", 0.804))
    words = " ".join(said.replace("│", " ").split())
    assert "Rely on other evidence." in words and "1 image: 1 uncertain." in words


@pytest.mark.parametrize(
    ("score", "short"),
    [
        (0.1, "Probably a photograph."),
        (0.99, "Probably AI-generated."),
        (0.4, "The detector cannot tell. It leans towards a photograph, and falls short of that verdict by 0.11."),
    ],
)
def test_the_short_form_of_a_sentence(score, short):
    assert short_form(verdict_sentence(score, BAND)) == short


def test_the_bar_counts_every_image_and_every_drawing_as_it_is_done(tiny_model, tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths[:-1]):
        make_image(40, 30, number).save(path)
    bars, done = [], []

    def bar():
        bars.append(Progress(disable=True))
        return bars[-1]

    def draw(image, name, verdict):
        done.append(bars[0].tasks[0].completed)
        return {"heatmap": "x"}

    monkeypatch.setattr(detect, "bar", bar)
    inputs = [Input(str(path)) for path in paths]
    rows = list(detect.detect_rows(load_detector(tiny_model, "cpu"), inputs, None, 3, [draw]))
    assert len(rows) == 6 and rows[-1]["error"]
    task = bars[0].tasks[0]
    assert task.total == task.completed == 12
    assert done == sorted(set(done)) and done[0] == 3  # after a batch of three, one more with each drawing
