r"""Try ways of training, each with collections left out in turn, and train the best of them for long.

    python benchmarks/flagship/folds.py --bundle bundle --ways benchmarks/flagship/ways.json --output runs/folds \
        --batch 512 --steps 600 --minutes 4 --long_steps 8000 2000 --long_minutes 4 --jobs 12

A way is a name, and keys of train.py that it has otherwise; the first is what the others are held against. In the
first round every way is trained once for each fold, without that fold's collections, and scored on them. In the second
the best way is trained for long, and beside it all ways together that were better than the first; each once for every
fold, and once on everything, and all that for every length asked for. By what is left out the best is chosen, and
combine.py calibrates it. OUTPUT gets a folder for each training, ways.json and ways.md. Finished trainings are not
repeated.
"""

import heapq
import json
import multiprocessing
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import train
from bundle import Bundle, is_left_out, read_bundle
from crops import Images
from pairs import bundled_autoencoder, make

from fakelens.atomic import write_file, write_json
from fakelens.cli.script import parse, script
from fakelens.errors import UserError

FOLDS = {
    "roland": ["roland", "camera-*#1/3"],
    "dhanush": ["dhanush", "camera-*#2/3"],
    "gpt-nano": ["gpt-image-1", "nano-banana", "camera-*#3/3"],
}
EVERYTHING = "everything"  # the training that leaves nothing out
GAIN = 0.005  # of macro AUROC, from which on a way is among those taken together
Way = dict[str, Any]


@dataclass
class FoldsArguments:
    """What to try, and for how long."""

    bundle: str = field(metadata={"help": "Folder written by bundle.py."})
    ways: str = field(metadata={"help": "JSON file: name -> keys of train.py; `draw` and `model` as objects."})
    output: str = field(metadata={"help": "Folder for trainings and tables."})
    folds: str = field(default=json.dumps(FOLDS), metadata={"help": "JSON: name of a fold -> what it leaves out."})
    steps: int = field(default=1500, metadata={"help": "Batches of each training of the first round."})
    minutes: float | None = field(default=None, metadata={"help": "Time for the first round."})
    long_steps: list[int] = field(
        default_factory=lambda: [12_000],
        metadata={"help": "Batches of a training of the second round; or several."},
    )
    long_minutes: float | None = field(default=None, metadata={"help": "Time for the second round."})
    jobs: int = field(default=1, metadata={"help": "Trainings beside one another."})
    batch: int = field(default=64, metadata={"help": "Crops a step, where a way says nothing else."})
    seed: int = field(default=42, metadata={"help": "Of all trainings."})
    compile: bool = field(default=True, metadata={"help": "On a GPU, compile networks in the second round."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, ...; default: the fastest there."})


def main(args: FoldsArguments) -> dict[str, Any]:
    """Try, train, and print the tables."""
    ways, folds = _ways(Path(args.ways)), json.loads(args.folds)
    if args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}; it is 1 or more.")
    out = Path(args.output)
    first = [_job(args, out / "short", way, keys, fold, left, args.steps) for way, keys in ways.items()
             for fold, left in folds.items()]  # fmt: skip
    for job in first:
        train.check(job)
    whole = read_bundle(Path(args.bundle))
    for left in folds.values():
        whole.without(left)  # refused before anything is trained
    # Forked, so that decoded images are in memory once; nothing may have touched a GPU before.
    with multiprocessing.get_context("fork").Pool(args.jobs, _begin, (whole,)) as pool:
        found: dict[str, Any] = {"short": _round(pool, first, args, args.minutes, ways, folds)}
        chosen = candidates(ways, found["short"])
        lengths = {
            name if len(args.long_steps) == 1 else f"{name} ({steps} steps)": (keys, steps)
            for steps in args.long_steps
            for name, keys in chosen.items()
        }
        second = [
            _job(args, out / "long", name, keys, fold, left, steps)
            for name, (keys, steps) in lengths.items()
            for fold, left in {**folds, EVERYTHING: []}.items()
        ]
        for job in second:
            job.compile = args.compile
        found["long"] = _round(pool, second, args, args.long_minutes, lengths, folds)
    found["best"] = max(found["long"], key=lambda way: _macro(found["long"][way]))
    write_json(out / "ways.json", found)
    write_file(out / "ways.md", markdown(found["short"]) + "\n\n" + markdown(found["long"]) + "\n")
    print((out / "ways.md").read_text(encoding="utf-8"))
    print(f"Best by what was left out: {found['best']}, in {out / 'long' / found['best']}.")
    return found


def candidates(ways: Mapping[str, Way], tried: Mapping[str, Any]) -> dict[str, Way]:
    """Return the best way, and all that were better than the first taken together, if those are several.

    Args:
        ways: By name; one with `candidate` false is measured and not taken.
        tried: What `_round` returned.
    """
    names = [name for name in ways if ways[name].get("candidate", True) and tried[name]["macro"] is not None]
    if not names:
        raise UserError("No way could be trained with every fold left out; see the errors above.")
    best = max(names, key=lambda name: tried[name]["macro"])
    first = next(iter(ways))
    floor = (tried[first]["macro"] or 0) + GAIN
    better = sorted((name for name in names if tried[name]["macro"] >= floor), key=lambda name: tried[name]["macro"])
    chosen = {best: ways[best]}
    if len(better) > 1:
        together: Way = {"draw": {}, "model": {}}
        for name in better:  # the best one last, which goes before the others
            own = ways[name]
            together |= {key: value for key, value in own.items() if key not in ("draw", "model")}
            together["draw"] |= own.get("draw", {})
            together["model"] |= own.get("model", {})
        chosen["+".join(better)] = together
    return chosen


def markdown(tried: Mapping[str, Any]) -> str:
    """Return a table: a row for each way, by macro AUROC."""
    columns = sorted({name for row in tried.values() for name in row["collections"]})
    head = ["way", "crops", "macro", "worst", "false positives of cameras", *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for way, row in sorted(tried.items(), key=lambda item: -_macro(item[1])):
        values = [row["macro"], row["worst"], row["false_positives"], *(row["collections"].get(c) for c in columns)]
        lines.append(f"| {way} | {row['crops']:,} | " + " | ".join(_cell(value) for value in values) + " |")
    return "\n".join(lines)


def summary(reports: Sequence[dict[str, Any]], folds: int) -> dict[str, Any]:
    """Return what a way's trainings come to on what they left out.

    Args:
        reports: Of its trainings, as train.py writes them.
        folds: How many there are to be: with fewer, `macro` and `worst` are None.
    """
    collections = {
        fake: float(np.mean(list(against.values())))
        for report in reports
        for fake, against in report["left_out"].get("pairs", {}).items()
    }
    own = {  # against the photographs of a collection's own
        f"{fake}, own": against[real]
        for report in reports
        for fake, against in report["left_out"].get("pairs", {}).items()
        for real in against
        if fake.endswith(f"({real})")
    }
    cameras = [report["left_out"]["false_positives"].get("cameras") for report in reports if report["left_out"]]
    rates = [rate for rate in cameras if rate is not None]
    whole = len([report for report in reports if report["left_out"]]) == folds and collections
    return {
        "macro": float(np.mean(list(collections.values()))) if whole else None,
        "worst": min(collections.values()) if whole else None,
        "false_positives": float(np.mean(rates)) if rates else None,
        "collections": collections | own,
        "crops": sum(report["crops"] for report in reports),
        "seconds": round(sum(report["seconds"] for report in reports)),
    }


def _round(
    pool: Any, jobs: Sequence[train.TrainArguments], args: FoldsArguments, minutes: float | None,
    names: Iterable[str], folds: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Run trainings, and return the summary of each way."""
    if minutes is not None:
        longest = _longest([job.steps for job in jobs], args.jobs)
        for job in jobs:
            job.minutes = minutes * job.steps / longest
    reports: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for output, report, error in pool.imap_unordered(_run, jobs):
        way = Path(output).parent.name
        if report is None:
            print(f"{output} failed: {error}", flush=True)
            continue
        reports[way].append(report)
        left = report["left_out"].get("macro")
        print(f"{output}: {_cell(left)} on what it left out, {report['crops']:,} crops, "
              f"{report['crops_per_second']:,.0f} a second", flush=True)  # fmt: skip
    return {way: summary(found, len(folds)) for way, found in reports.items()}


def _longest(lengths: Sequence[int], workers: int) -> int:
    """Return the length of all if workers share them, each taking the next when it is done."""
    loads = [0] * workers
    for length in lengths:
        heapq.heapreplace(loads, loads[0] + length)
    return max(loads)


def _job(
    args: FoldsArguments, out: Path, way: str, keys: Way, fold: str, leave_out: list[str], steps: int
) -> train.TrainArguments:
    named = {"batch": args.batch, "seed": args.seed, "device": args.device, "steps": steps, "compile": False}
    named |= {key: value for key, value in keys.items() if key not in ("draw", "model", "candidate")}
    return train.TrainArguments(
        bundle=args.bundle,
        output=str(out / way / fold),
        leave_out=leave_out,
        draw=json.dumps(keys.get("draw", {})),
        model=json.dumps(keys.get("model", {})),
        **named,
    )


_here: dict[str, Any] = {}  # of this process: the bundle, and its images on the device


def _begin(whole: Bundle) -> None:
    torch.set_num_threads(1)
    _here["whole"] = whole


def _run(job: train.TrainArguments) -> tuple[str, dict[str, Any] | None, str]:
    """Run one training in this process, unless it is finished."""
    path = Path(job.output) / "report.json"
    if path.exists():
        return job.output, json.loads(path.read_text(encoding="utf-8")), ""
    try:
        whole = _here["whole"]
        if "images" not in _here:
            device = torch.device(job.device or ("cuda" if torch.cuda.is_available() else "cpu"))
            _here["images"], _here["packed"] = Images(whole.train, device), Images(whole.pairs, device)
            autoencoder = bundled_autoencoder(Path(job.bundle), device)
            _here["made"] = make(_here["images"], autoencoder, job.made_pairs, job.seed)
        kept = [_without(_here[name], job.leave_out, together) for name, together in
                (("images", 1), ("packed", 2), ("made", 2))]  # fmt: skip
        return job.output, train.run(whole.without(job.leave_out), kept[0], kept[1:], job), ""
    except Exception as error:  # the other trainings go on
        traceback.print_exc()
        return job.output, None, f"{type(error).__name__}: {error}"


def _without(images: Images, leave_out: Sequence[str], together: int) -> Images:
    """Return the images that are not left out; of a pair, the real one says whether it is."""
    rows = images.rows
    return images.part([n for n in range(len(rows)) if not is_left_out(rows[n - n % together], leave_out)])


def _ways(path: Path) -> dict[str, Way]:
    try:
        ways = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}.") from None
    known = {*asdict(train.TrainArguments("", "")), "candidate"}
    if not isinstance(ways, dict) or not ways:
        raise UserError(f"{path} holds no ways: it is an object, name -> keys of train.py.")
    for name, keys in ways.items():
        if unknown := [key for key in keys if key not in known]:
            raise UserError(f"{path}: {name} has the unknown key {unknown[0]}. Keys are those of train.py.")
    return ways


def _macro(row: Mapping[str, Any]) -> float:
    return -1.0 if row["macro"] is None else row["macro"]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    arguments = parse(FoldsArguments, __doc__)
    with script("folds"):
        main(arguments)
