"""Read and score inputs a batch at a time: one row for each."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress, TaskID

from fakelens.cli.inputs.expand import Input
from fakelens.cli.waiting import bar
from fakelens.data.decode import ImageError
from fakelens.inference.verdict import Row, error_row, verdict_row

if TYPE_CHECKING:  # torch and transformers take seconds to import: `fakelens --help` does without
    from fakelens.inference.detector import Detector
    from fakelens.inference.verdict import Verdict

# Draws an image: its file or bytes, its name and its verdict -> further fields of its row.
Drawing = Callable[[Path | bytes, str, "Verdict"], Row]


def detect_rows(
    detector: "Detector",
    inputs: Sequence[Input],
    max_fpr: float | None,
    batch_size: int,
    drawings: Sequence[Drawing] = (),
) -> Iterator[Row]:
    """Yield one row an input, in order, as batches are done; a progress bar on a terminal's standard error.

    The bar moves with each image that was scored, and with each drawing, which take longer than scores.

    Args:
        detector: The detector.
        inputs: What to score.
        max_fpr: As of a detector's call.
        batch_size: Images read and scored at a time.
        drawings: What to make of each image that was scored.
    """
    what = "scoring and drawing" if drawings else "scoring"
    with bar() as progress:
        task = progress.add_task(what, total=len(inputs) * (1 + len(drawings)))
        for start in range(0, len(inputs), batch_size):
            batch = inputs[start : start + batch_size]
            errors: dict[int, str] = {}
            images: list[Path | bytes] = []
            for number, item in enumerate(batch):
                try:
                    images.append(item.read())
                except ImageError as error:
                    errors[number] = str(error)
            results = iter(zip(images, _scored(detector, images, max_fpr, progress, task), strict=True))
            progress.advance(task, len(errors))
            for number, item in enumerate(batch):
                if number in errors:
                    progress.advance(task, len(drawings))
                    yield error_row(item.name, detector.name, errors[number])
                    continue
                image, verdict = next(results)
                row = verdict_row(item.name, detector.name, verdict)
                for draw in drawings:
                    row |= draw(image, item.name, verdict) if verdict.verdict is not None else {}
                    progress.advance(task)
                yield row


def _scored(
    detector: "Detector", images: Sequence[Path | bytes], max_fpr: float | None, progress: Progress, task: TaskID
) -> Iterator["Verdict"]:
    """Score a batch; where somebody watches the bar, in parts that keep every thread busy."""
    size = len(images) if progress.disable else max(1, detector.workers * detector.at_once(len(images)))
    for start in range(0, len(images), size or 1):
        part = images[start : start + size]
        verdicts = detector(part, max_fpr, len(part))
        progress.advance(task, len(part))
        yield from verdicts
