r"""Compare detectors on one data set: one table, a column each, and paired tests against the first.

    fakelens compare --model patch_lens USER/NAME --data path/to/folder --output runs/compared
    fakelens compare --model patch_lens Organika/sdxl-detector USER/DETECTOR --data path/to/list.csv \
        --label_map real=human,fake=ai --cameras my_phone --output runs/compared

Any image classifier of transformers or timm, or its ONNX export, takes part. Where the names of its classes do not say
which are real, --label_map or --real_label does, for one model alone as --label_map MODEL=real=NAME,fake=NAME. Writes
the report of `fakelens evaluate` and compare.md, the table; with --board also a page with a row a detector.
"""

import shlex
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

from fakelens.cli.script import SOURCE, SeveralModelsArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class CompareArguments(SeveralModelsArguments):
    """What to compare, and on what."""

    model: list[str] = field(metadata={"help": "Folders of models, or Hub repos; each is tested against the first."})
    data: str = field(metadata={"help": SOURCE})
    output: str = field(metadata={"help": "Folder for the report and the table."})
    board: str | None = field(
        default=None,
        metadata={"help": "Also write a page with a row a detector, such as docs/board.md; what people wrote stays."},
    )
    split: list[str] = field(default_factory=lambda: ["test"], metadata={"help": "Splits to compare on."})
    cameras: list[str] = field(
        default_factory=list,
        metadata={"help": "Collections of photographs straight from cameras, to count false positives on."},
    )
    stability: int = field(
        default=60, metadata={"help": "Degrade so many images, to see how many verdicts change; 0 for none."}
    )
    limit: int | None = field(default=None, metadata={"help": "Read only so many rows from the start of each split."})
    batch_size: int = field(default=32, metadata={"help": "Images per forward pass."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: CompareArguments) -> None:
    """Compare, print the table, and say where it is."""
    from accelerate import PartialState

    from fakelens.cli.stop import silence_libraries
    from fakelens.evaluation.compare import compare_models
    from fakelens.evaluation.report.board import check_board, write_board
    from fakelens.evaluation.report.side_by_side import print_side_by_side
    from fakelens.evaluation.run import Options

    silence_libraries()
    board = None if args.board is None else Path(args.board)
    if board is not None:
        check_board(board)
    read, model_rules = args.read_options()
    options = Options(
        batch_size=args.batch_size,
        device=args.device,
        limit=args.limit,
        trust_remote_code=args.trust_remote_code,
        robustness=args.stability > 0,
        robustness_limit=args.stability or None,
        audit=False,
        gallery=0,
        read=read,
        model_rules=model_rules,
    )
    report = compare_models(args.model, args.data, Path(args.output), args.split, options, args.cameras)
    if PartialState().is_main_process:
        print_side_by_side(report, args.cameras)
        print(f"The table is in {Path(args.output) / 'compare.md'}, the whole report beside it.")
        if board is not None:
            write_board(report, board, command_of(args), args.cameras)
            print(f"The board is in {board}.")


def command_of(args: CompareArguments) -> str:
    """Return what is to be typed for these arguments, those left out that are as they would be anyway.

    Args:
        args: The verb's.
    """
    words = ["fakelens", "compare"]
    for one in fields(args):
        value = getattr(args, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if value != default:
            values = value if isinstance(value, list) else [value]
            words += [f"--{one.name}", *(shlex.quote(str(each)) for each in values)]
    return " ".join(words)


VERB = dataclass_verb("compare", main, CompareArguments, __doc__)
