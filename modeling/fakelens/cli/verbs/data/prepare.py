r"""Make splits that share no image, near-duplicates included.

Split an unsplit folder, or clean existing splits:

    fakelens prepare --data data/raw --output data/processed
    fakelens prepare --data path/to/shards --split train validation test --output path/to/clean
    fakelens prepare --data ComplexDataLab/OpenFake:core --split validation test --report_only true --json

The first cuts `data/raw/{real,fake}` into `data/processed/{train,val,test}/{real,fake}`, 70/15/15 of each class, and
prints the counts; files are copied byte for byte. One --split is cut likewise. Two or more are cleaned: of an image
that several have, test keeps its own, then validation, and train's is left out; parquet shards keep their columns.

Near-duplicates are images whose pHashes differ in at most --distance of 64 bits: saved again, scaled, cropped a
little. Images joined by a chain of such pairs lie in one split. What cannot be decoded is left out. All of it is
listed by id in `prepare.json` (with --report_only, in `duplicates.json`), groups of real and fake images too: faces
swapped into photographs, reconstructions, wrong labels.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakelens.cli.script import ReadArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class PrepareArguments(ReadArguments):
    """What to prepare, and how."""

    data: str = field(
        metadata={
            "help": "Folder of class folders or of parquet files. To report only, also a Hub data set "
            "USER/NAME[:CONFIG] or `sample`."
        }
    )
    split: list[str] = field(
        default_factory=list,
        metadata={"help": "None for class folders without splits; one split to cut; two or more to clean."},
    )
    output: str | None = field(default=None, metadata={"help": "New folder for the result."})
    distance: int = field(
        default=4,
        metadata={
            "help": "The most bits of 64, 0 to 10, in which near-duplicates' hashes differ. More finds larger crops, "
            "and strangers; try 2 where all images are alike, such as aligned faces."
        },
    )
    fractions: list[float] = field(
        default_factory=lambda: [0.7, 0.15, 0.15],
        metadata={"help": "Of train, val and test, where an unsplit folder is split.", "aliases": ["--shares"]},
    )
    seed: int = field(default=42, metadata={"help": "Of the cut."})
    keep: list[str] = field(
        default_factory=lambda: ["test", "validation", "train"],
        metadata={"help": "Splits in the order in which they keep a shared image; others come before these."},
    )
    report_only: bool = field(
        default=False, metadata={"help": "Change nothing; with --output, write duplicates.json there."}
    )
    json: bool = field(default=False, metadata={"help": "Print the report as JSON instead of tables."})


def main(args: PrepareArguments) -> None:
    """Prepare the data, and print the counts or the whole report."""
    from fakelens.data.splits.prepare import Preparation, prepare
    from fakelens.data.splits.prepare_report import write_report
    from fakelens.errors import UserError

    settings = Preparation(args.distance, tuple(args.fractions), args.seed, tuple(args.keep))
    if args.output is None and not args.report_only:
        raise UserError("Name an --output for the result, or add --report_only true.")
    output = Path(args.output) if args.output else None
    report = prepare(args.data, args.split, None if args.report_only else output, settings, args.read_options())
    if output is not None and args.report_only:
        write_report(report, output / "duplicates.json")
    if args.json:
        print(json.dumps(report, indent=1, allow_nan=False))
        return
    show(Console(), report)
    if output is not None:
        print(f"{'duplicates.json' if args.report_only else 'The result, with prepare.json,'} is in {output}.")


def show(console: Console, report: dict[str, Any]) -> None:
    """Print a report's counts."""
    result = report["result"]
    total = sum(sum(counts.values()) for counts in result.values())
    table = Table(title="images by split and class")
    table.add_column("split", overflow="fold")
    for title in ("real", "fake", "all", "fraction"):
        table.add_column(title, justify="right", no_wrap=True)
    for split, counts in result.items():
        number = sum(counts.values())
        table.add_row(split, *map(str, (*counts.values(), number)), f"{number / total:.1%}")
    table.add_row("all", *(str(sum(c[name] for c in result.values())) for name in ("real", "fake")), str(total), "")
    console.print(table)
    print(
        f"near-duplicates (within {report['settings']['distance']} of 64 bits): {report['groups']} groups, "
        f"{report['groups_of_both_classes']} of real and fake images together"
    )
    for names, number in report["groups_crossing"].items():
        print(f"shared by {names}: {number} groups")
    if report["mode"] == "clean":
        print(f"{report['removed']} images removed so that no group crosses splits")
    if report["skipped"]:
        reasons = ", ".join(f"{number} {reason}" for reason, number in report["skipped"].items())
        print(f"{len(report['skipped_rows'])} images that cannot be decoded, left out ({reasons})")
    for line in report["warnings"]:
        print(f"warning: {line}")


VERB = dataclass_verb("prepare", main, PrepareArguments, __doc__)
