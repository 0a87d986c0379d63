"""Read and score inputs a batch at a time: one row for each."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from fakelens.cli.inputs.expand import Input
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

    Args:
        detector: The detector.
        inputs: What to score.
        max_fpr: As of a detector's call.
        batch_size: Images read and scored at a time.
        drawings: What to make of each image that was scored.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=len(inputs))
        for start in range(0, len(inputs), batch_size):
            batch = inputs[start : start + batch_size]
            errors: dict[int, str] = {}
            images: list[Path | bytes] = []
            for number, item in enumerate(batch):
                try:
                    images.append(item.read())
                except ImageError as error:
                    errors[number] = str(error)
            results = iter(zip(images, detector(images, max_fpr, batch_size), strict=True))
            for number, item in enumerate(batch):
                if number in errors:
                    yield error_row(item.name, detector.name, errors[number])
                    continue
                image, verdict = next(results)
                row = verdict_row(item.name, detector.name, verdict)
                if verdict.verdict is not None:
                    for draw in drawings:
                        row |= draw(image, item.name, verdict)
                yield row
            progress.advance(task, len(batch))
