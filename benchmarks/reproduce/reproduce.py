r"""Run a reference system's whole protocol, and put its numbers beside ours.

    python benchmarks/reproduce/reproduce.py s4 --data POOL POOL2 --unseen_split test --output runs/reproduce
    python benchmarks/reproduce/reproduce.py s3 --data FOLDER --weights FILE.safetensors \
        --backbone tf_efficientnet_lite0 --output runs/reproduce
    python benchmarks/reproduce/reproduce.py s0 --data ComplexDataLab/OpenFake@v1.0 --as_is --full --pretrained
    python benchmarks/reproduce/reproduce.py s2 --data sample --smoke --output runs/smoke
    python benchmarks/reproduce/reproduce.py --collect docs/reproduction.md --output runs/reproduce

Everything is below OUTPUT/SYSTEM. Started again with the same options it skips what is finished, and goes on with what
was killed. It ends with result.json and result.md: their number, ours, the data, the length, the time, and what sets
the run apart from theirs.
"""

import argparse
from pathlib import Path
from typing import Any

import protocols
import table
import torch
from ensemble import NETWORKS, s4
from transformers.utils.logging import disable_progress_bar
from work import Work

from fakelens.cli.script import SOURCE, script
from fakelens.errors import UserError

SYSTEMS = {"s0": protocols.s0, "s1": protocols.s1, "s2": protocols.s2, "s3": protocols.s3, "s4": s4}
CPU_BATCH = 32  # images of 224 pixels in one pass: theirs, 256, would take ten gigabytes
SMOKE = {"steps": 2, "per_class": 24}
SMOKE_HELP = (
    "two steps on a few images of 32 pixels, attacks and degradations of four, and an ablation over two fractions and "
    "two seeds, to see that all goes together; see also --steps"
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("system", nargs="?", choices=SYSTEMS, help="which protocol")
    add("--data", nargs="+", default=[], help=f"SOURCEs to draw from: {SOURCE.replace('%', '%%')}")
    add("--output", default="runs/reproduce", help="folder for all systems (default: runs/reproduce)")
    add("--train_split", default="train", help="split to train on (default: train)")
    add("--test_split", default="test", help="split of the same distribution to test on (default: test)")
    add("--unseen_split", help="split of unseen generators to test on too (S0, S2, S3, S4)")
    add("--as_is", action="store_true", help="use the one SOURCE and its splits without drawing from it")
    add("--per_class", type=int, help="draw at most this many real images and fakes of a split (S4: 1000)")
    add("--fakes", nargs="+", default=[], help="draw these generators' fakes alone")
    add("--real_images", nargs="+", default=[], help="draw these collections' real images alone (column source)")
    add("--seed", type=int, default=42, help="of the draw and of training (default: 42)")
    add("--pretrained", action="store_true", help="start from the weights that the recipes name, from the Hub")
    add("--weights", help="S2 and S3: safetensors file that the backbone starts from")
    add("--backbone", help="S2 and S3: timm's name of another backbone, such as tf_efficientnet_lite0")
    add("--batch", type=int, help="most images in one pass; larger batches are accumulated (S0 on a CPU: 32)")
    add("--jobs", type=int, default=1, help="parts that run beside one another, each in a process (default: 1)")
    add("--workers", type=int, help="processes that load images for each training (default: the recipe's)")
    add("--full", action="store_true", help="S0: three epochs of MobileNetV2 and EfficientNetV2-S instead of one")
    ablated = [name.removeprefix("s4_") for name in NETWORKS]
    add("--ablate", choices=[*ablated, "none"], default="resnet_se", help="S4: the network of the ablation")
    add("--steps", type=int, help="take only this many steps in every phase, to see that all goes together")
    add("--smoke", action="store_true", help=SMOKE_HELP)
    add("--collect", metavar="PAGE", help="write the finished systems' results into this page instead")
    return parser


def main(args: argparse.Namespace) -> None:
    """Run a system, or collect results."""
    output = Path(args.output)
    if args.collect:
        taken = table.collect(output, Path(args.collect))
        print(f"{args.collect} holds the results of {', '.join(taken) or 'no new system'}.")
        return
    if args.system is None or not args.data:
        raise UserError("Name a system (s0 to s4) and its --data, or a page to --collect results into.")
    numbers = {"per_class": args.per_class, "steps": args.steps, "batch": args.batch, "seed": args.seed}
    numbers |= {"jobs": args.jobs, "workers": args.workers}
    if low := [name for name, value in numbers.items() if value is not None and value < (name != "seed")]:
        raise UserError(f"--{low[0]} is {numbers[low[0]]}; it is a whole number from {0 if low[0] == 'seed' else 1}.")
    if args.smoke:
        args.steps, args.per_class = args.steps or SMOKE["steps"], args.per_class or SMOKE["per_class"]
    elif args.system == "s0" and args.batch is None and not torch.accelerator.is_available():
        args.batch = CPU_BATCH
    args.draw = draw_options(args)
    keys = {"seed": args.seed} | ({} if args.pretrained else {"pretrained": False})
    keys |= {"dataloader_num_workers": args.workers} if args.workers else {}
    work = Work(args.system, output / args.system, per_pass=args.batch, steps=args.steps, keys=keys, jobs=args.jobs)
    work.is_smoke = args.smoke
    disable_progress_bar()  # of files being read and written
    result = SYSTEMS[args.system](work, args)
    print(table.markdown(result))
    print(f"The result is in {work.folder / 'result.md'}.")


def draw_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of which images are drawn, as `sets.Draw` takes it."""
    names = ("per_class", "fakes", "real_images", "seed")
    return {"sources": args.data} | {name: getattr(args, name) for name in names}


if __name__ == "__main__":
    parsed = make_parser().parse_args()
    with script("reproduce"):
        main(parsed)
