"""Score a folder of images into a file: the JSON that a challenge asks for, a CSV, or both.

    fakelens predict --model runs/s4_ensemble/model --data path/to/images --submission submission.json
    fakelens predict --model runs/generators/model --data path/to/images --output predictions.csv

The submission is `[{"index": 1, "prediction": "fake"}, ...]` in the natural order of file names (2.png before 10.png),
counted from 1. An image that cannot be read keeps its index, so that no other moves: it has no entry in the
submission, a line with its error in the CSV, and one on standard error.

A model that tells generators apart names the likeliest one in the CSV, or says "unknown generator" where that one has
less than --unknown_below of P(fake).

Exit status: 0, every image was scored; 1, some could not be read, the rest were scored and written; 2, the call is
wrong, the model does not load or no image could be read, and nothing is written.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import LabelArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class PredictArguments(LabelArguments):
    """What to score, with what, and where to write."""

    model: str = field(metadata={"help": "Folder or Hub repo of the detector."})
    data: str = field(metadata={"help": "Folder of images; its subfolders belong to it."})
    submission: str | None = field(default=None, metadata={"help": "Write the JSON submission to this file."})
    output: str | None = field(
        default=None,
        metadata={"help": "Write a CSV of index, path, verdict, prediction, score, generator, error to this file."},
    )
    unknown_below: float = field(
        default=0.5,
        metadata={"help": "Fraction of P(fake) that the likeliest generator must have; else it is called unknown."},
    )
    batch_size: int = field(default=16, metadata={"help": "Images per forward pass."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: PredictArguments) -> int:
    """Score the folder, write what was asked for, and return how many images could not be scored."""
    from fakelens.atomic import write_file
    from fakelens.cli.submission import check_file, predict_folder, submission, table
    from fakelens.errors import UserError
    from fakelens.inference.detector import load_detector

    wanted = {Path(name): kind for name, kind in ((args.submission, submission), (args.output, table)) if name}
    if not wanted:
        raise UserError("Say where to write: --submission FILE.json, --output FILE.csv, or both.")
    if len(wanted) < 2 and args.submission and args.output:
        raise UserError("--submission and --output name the same file. Name two.")
    for path in wanted:
        check_file(path)
    detector = load_detector(args.model, args.device, args.trust_remote_code, args.label_map, args.real_label)
    rows = predict_folder(detector, Path(args.data).expanduser(), args.unknown_below, args.batch_size)
    failed = [row for row in rows if row.error is not None]
    for row in failed:
        print(f"predict: image {row.index}, {row.path}: {row.error}", file=sys.stderr)
    if len(failed) == len(rows):
        raise UserError(f"None of the {len(rows)} images of {args.data} could be scored, so nothing was written.")
    for path, kind in wanted.items():
        write_file(path, kind(rows))
    fakes = sum(row.prediction == "fake" for row in rows)
    print(f"{len(rows) - len(failed)} images scored, {fakes} predicted fake: {', '.join(map(str, wanted))}")
    if failed:
        print(f"predict: {len(failed)} of {len(rows)} images could not be scored", file=sys.stderr)
    return len(failed)


VERB = dataclass_verb("predict", main, PredictArguments, __doc__)
