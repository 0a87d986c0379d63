r"""Score images that nobody labelled: a row for each, with score and verdict, as parquet shards.

    fakelens score path/to/images --output scores
    fakelens score list.txt --output scores --model USER/MODEL --batch_size 64
    fakelens score USER/NAME:CONFIG --split train --output scores --push_to_hub USER/SCORES
    accelerate launch --num_processes 2 scripts/score.py USER/NAME --output scores

SOURCE is a data set on the Hub, which is streamed, a folder of images, of parquet or of WebDataset shards, a list of
images (CSV, JSONL), or a text file with a path or address on each line. Labels are not read, whatever there is.

Each row has id, path, score (P(fake)), verdict, warnings, error, model_revision, and row, its position among the rows
that its process read. An image that cannot be fetched or decoded is a row with its error. The same command again goes
on with a run that was cut short; several processes share the rows. A summary, as JSON, goes to standard output.

Exit status: 0, every row is written; 2, the call is wrong, or model or data do not load; 130, stopped by Ctrl-C, and
what was scored is written.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import LabelArguments
from fakelens.cli.verb import dataclass_verb

HUB = "hf://datasets/"


@dataclass(kw_only=True)
class ScoreArguments(LabelArguments):
    """What to score, with what, and where to write."""

    source: str = field(
        init=False,
        metadata={
            "help": "Hub data set USER/NAME[:CONFIG][@REVISION], folder of images, of parquet or WebDataset shards, "
            "list of images (CSV, JSONL), text file of paths or addresses, or `sample`."
        },
    )
    output: str = field(
        metadata={"help": f"Folder for the shards; or {HUB}USER/NAME: the folder NAME, then that data set on the Hub."}
    )
    model: str | None = field(
        default=None, metadata={"help": "Folder or Hub repo of the detector; default: patch_lens."}
    )
    split: str = field(default="train", metadata={"help": "Split to read, where the data has splits."})
    image_column: str | None = field(default=None, metadata={"help": "Column of the images, or of their paths."})
    batch_size: int = field(default=32, metadata={"help": "Images per forward pass."})
    limit: int | None = field(default=None, metadata={"help": "Read only this many rows, from the start."})
    max_fpr: float | None = field(
        default=None, metadata={"help": "Highest false-positive rate on photographs, of a calibrated model."}
    )
    shard_rows: int = field(default=1000, metadata={"help": "Rows in a file; a kill loses those that fill none yet."})
    push_to_hub: str | None = field(
        default=None, metadata={"help": "Push the folder to the data set USER/NAME on the Hub, when all is scored."}
    )
    private: bool = field(default=False, metadata={"help": "Create that data set as a private one."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: ScoreArguments) -> None:
    """Score, print a summary, and push the shards if that was asked for."""
    from fakelens.cli.stop import silence_libraries
    from fakelens.data.sources.opening import ReadOptions, open_source
    from fakelens.evaluation.scoring.ranks import Ranks
    from fakelens.evaluation.scoring.score import score_source
    from fakelens.hub.scores import check_push, push_scores
    from fakelens.inference.detector import load_detector

    output, repo_id = where(args)
    if repo_id:
        check_push(repo_id)  # worth knowing before the work begins
    silence_libraries()
    ranks = Ranks.launched(args.device)
    source = open_source(args.source, args.split, ReadOptions(image=args.image_column, is_labelled=False))
    detector = load_detector(
        args.model, ranks.device(args.device), args.trust_remote_code, args.label_map, args.real_label
    )
    found = score_source(detector, source, output, args.batch_size, args.limit, args.max_fpr, args.shard_rows, ranks)
    if ranks.index:
        return
    if found.errors:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.errors.items())
        print(f"score: {sum(found.errors.values())} rows hold an error instead of a score: {reasons}", file=sys.stderr)
    summary = {"source": args.source, "model": detector.name} | found.record()
    if repo_id:
        summary["pushed"] = push_scores(found, source, detector.name, repo_id, args.private).url
    print(json.dumps(summary))


def where(args: ScoreArguments) -> tuple[Path, str | None]:
    """Return the folder that is written, and the data set on the Hub that it is pushed to, if any.

    Raises:
        UserError: If two are named, or the folder lies in the data.
    """
    from fakelens.errors import UserError

    folder, repo_id = args.output, args.push_to_hub
    if folder.startswith(HUB):
        named = folder.removeprefix(HUB)
        if repo_id not in (None, named):
            raise UserError(f"--output and --push_to_hub name two data sets, {named} and {repo_id}. Name one.")
        folder, repo_id = named.rpartition("/")[2], named
    data, output = Path(args.source).expanduser().resolve(), Path(folder).expanduser()
    if data.is_dir() and output.resolve().is_relative_to(data):
        raise UserError(f"{output} lies in the data, {args.source}, and would be read with it. Name a folder outside.")
    return output, repo_id


VERB = dataclass_verb("score", main, ScoreArguments, __doc__)
