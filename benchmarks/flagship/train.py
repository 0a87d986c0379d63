r"""Train the flagship from a bundle: on one device, with everything in its memory and nothing but tensor operations.

    python benchmarks/flagship/bundle.py --data POOL POOL2 --weights FIRST.safetensors --output bundle
    python benchmarks/flagship/train.py --bundle bundle --output runs/flagship --steps 12000
    python benchmarks/flagship/train.py --bundle bundle --output runs/gpu --batch 1024 --steps 7500 --minutes 8
    python benchmarks/flagship/train.py --bundle bundle --output runs/fold --leave_out roland 'camera-*#1/3'
    torchrun --nproc-per-node 2 benchmarks/flagship/train.py --bundle bundle --output runs/two --steps 6000

On a GPU it trains through `torch.compile` and in bfloat16, where that GPU computes in it. Started again with the same
`--output` it goes on from its last checkpoint. How to draw comes from the bundle, what `--draw` says goes before it.
OUTPUT gets `model/` (weights averaged over training, and the image processor; not calibrated yet), `report.json`
(settings, speed, AUROC by collection of the images left out, and of validation) and `checkpoint.pt`.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from bundle import Bundle, read_bundle
from crops import GROUP, Batches, Images, drawing
from pairs import bundled_autoencoder, make
from scoring import report

from fakelens.atomic import write_json
from fakelens.cli.script import parse, script
from fakelens.errors import UserError
from fakelens.training.loop.record import environment

EVERY = 500  # steps between two checkpoints
GROUPS = 32  # in a batch at most, on a GPU


@dataclass
class TrainArguments:
    """What to train from, and for how long."""

    bundle: str = field(metadata={"help": "Folder written by bundle.py."})
    output: str = field(metadata={"help": "Folder for model, report and checkpoint."})
    steps: int = field(default=12_000, metadata={"help": "Batches."})
    batch: int = field(default=64, metadata={"help": "Crops a step and process."})
    minutes: float | None = field(
        default=None, metadata={"help": "Stop after so many, the schedule brought to its end in time (one process)."}
    )
    learning_rate: float = field(default=1e-3, metadata={"help": "At its peak; the head's is three times that."})
    weight_decay: float = field(default=0.05, metadata={"help": "Of AdamW."})
    label_smoothing: float = field(default=0.02, metadata={"help": "Fraction of a target given to the other class."})
    average: float = field(default=0.998, metadata={"help": "Decay of the running average of weights."})
    leave_out: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Sources and generators not trained on but scored: NAME, PATTERN, or PATTERN#K/N for a part."
        },
    )
    seed: int = field(default=42, metadata={"help": "Of the head's first weights and of all that is drawn."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, ...; default: the fastest there."})
    draw: str = field(
        default="{}", metadata={"help": "JSON: how to draw, other than the bundle says (crops.py, `Draw`)."}
    )
    model: str = field(default="{}", metadata={"help": "JSON: options of the patch lens, such as its stages."})
    compile: bool = field(default=True, metadata={"help": "On a GPU, compile the network: slower to begin."})
    made_pairs: int = field(
        default=1, metadata={"help": "Pairs made of each real image, where the bundle has an autoencoder."}
    )


def main(args: TrainArguments) -> dict[str, Any]:
    """Train, score, write, and return the report."""
    check(args)
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rank, ranks = _join(device)
    bundle = read_bundle(Path(args.bundle), args.leave_out)
    images, packed = Images(bundle.train, device), Images(bundle.pairs, device)
    bundle.train.clear()  # the device holds them now
    bundle.pairs.clear()
    made = make(images, bundled_autoencoder(Path(args.bundle), device), args.made_pairs, args.seed)
    found = run(bundle, images, [packed, made], args, rank, ranks)
    if rank == 0:
        print(json.dumps({key: found[key] for key in ("left_out", "validation", "crops_per_second")}, indent=2))
    if ranks > 1:
        torch.distributed.barrier()
    return found


def check(args: TrainArguments) -> None:
    """Refuse what cannot be, before anything is read."""
    if args.steps < 2 or args.batch < GROUP or args.batch % GROUP:
        raise UserError(f"--steps is 2 or more, and --batch a multiple of {GROUP}.")
    drawing(args.draw)
    try:
        if not isinstance(json.loads(args.model), dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise UserError(f"--model does not fit: {error}.") from None


def run(
    bundle: Bundle, images: Images, pairs: Sequence[Images], args: TrainArguments, rank: int = 0, ranks: int = 1
) -> dict[str, Any]:
    """Train on images that are in the device's memory, score, write, and return the report.

    Args:
        bundle: What else there is: first weights, and the rows that are scored.
        images: Those trained on.
        pairs: Sets of pairs, as `Batches` takes them.
        args: The command line.
        rank: This process's index.
        ranks: Number of processes.
    """
    draw = drawing(args.draw, bundle.facts.get("draw"))
    batches = Batches(images, pairs, draw, args.seed + 1000 * rank)
    model = bundle.model(args.seed, **json.loads(args.model))
    model = model.to(batches.device, memory_format=torch.channels_last)
    out = Path(args.output)
    out.mkdir(parents=True, exist_ok=True)
    facts = _train(model, batches, args, out / "checkpoint.pt", rank, ranks)
    found = {"arguments": asdict(args), "draw": asdict(draw), "bundle": bundle.facts, **facts}
    found["environment"] = environment(str(batches.device))
    if rank == 0:
        model.float().eval()
        found |= {"left_out": report(model, bundle.left_out), "validation": report(model, bundle.validation)}
        model.save_pretrained(out / "model")
        bundle.processor.save_pretrained(out / "model")
        write_json(out / "report.json", found)
    return found


def _train(
    model: Any, batches: Batches, args: TrainArguments, checkpoint: Path, rank: int, ranks: int
) -> dict[str, Any]:
    """Train, and leave the averaged weights in the model."""
    device = batches.device
    head = [p for name, p in model.named_parameters() if "classifier" in name]
    rest = [p for name, p in model.named_parameters() if "classifier" not in name]
    optimiser = torch.optim.AdamW([{"params": rest}, {"params": head}], weight_decay=args.weight_decay)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    step, spent = 0, 0.0
    own = checkpoint.with_name(f"{checkpoint.stem}-{rank}.pt") if rank else checkpoint
    if own.exists():
        state = torch.load(own, map_location=device, weights_only=True)
        step, spent = state["step"], state["seconds"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average = state["average"]
        batches.resume([value.cpu() for value in state["draws"]])
        torch.set_rng_state(state["dropout"].cpu())
    network = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False) if ranks > 1 else model
    network = torch.compile(network) if args.compile and device.type == "cuda" else network
    dtype, note = precision(device)
    if note and rank == 0:
        print(note, flush=True)
    # On a GPU a batch is drawn in at most GROUPS parts, for each costs the processor a millisecond.
    together = max(GROUP, args.batch // GROUPS // 2 * 2) if device.type == "cuda" else GROUP
    begun, first, loss_average = time.monotonic() - spent, step, math.nan
    model.train()
    while step < args.steps:
        done = step / args.steps
        if args.minutes:
            done = max(done, (time.monotonic() - begun) / (60 * args.minutes))
            if done >= 1:
                break
        for group, times in zip(optimiser.param_groups, (1, 3), strict=True):
            group["lr"] = args.learning_rate * times * one_cycle(done)
        pixels, labels = batches.batch(args.batch, together)
        with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            logits = network(pixels.to(memory_format=torch.channels_last)).logits
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=args.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        _average(average, model, min(args.average, step / (step + 10)))
        if step % 100 == 0 or step == args.steps:
            value = loss.item()
            if not math.isfinite(value):
                raise UserError(f"The loss is not a number at step {step}. Lower --learning_rate.")
            loss_average = value if math.isnan(loss_average) else 0.9 * loss_average + 0.1 * value
            rate = (step - first) * args.batch * ranks / max(1e-9, time.monotonic() - begun - spent)
            if rank == 0:
                print(f"step {step} of {args.steps}: loss {loss_average:.3f}, {rate:.0f} crops a second", flush=True)
        if step % EVERY == 0 or step == args.steps:
            state = {"step": step, "seconds": time.monotonic() - begun, "model": model.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "average": average, "draws": batches.state()}
            state["dropout"] = torch.get_rng_state()
            torch.save(state, own.with_suffix(".new"))
            own.with_suffix(".new").replace(own)
    seconds = time.monotonic() - begun
    model.load_state_dict(average)
    crops = step * args.batch * ranks
    return {"steps": step, "crops": crops, "processes": ranks, "seconds": round(seconds, 1), "device": _name(device),
            "crops_per_second": round(crops / seconds, 1), "loss": loss_average}  # fmt: skip


def one_cycle(done: float, warm_up: float = 0.08) -> float:
    """Return the learning rate's fraction of its peak: up along a cosine, and down again to almost nothing.

    Smith and Topin 2018, https://arxiv.org/abs/1708.07120.

    Args:
        done: Fraction of the training that is done, in [0, 1].
        warm_up: Fraction of it on the way up.
    """
    if done < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / warm_up)) / 2
    return max(1e-5, (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2)


@torch.no_grad()
def _average(average: dict[str, torch.Tensor], model: Any, decay: float) -> None:
    now = model.state_dict()
    floats = [name for name, value in now.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[name] for name in floats], [now[name] for name in floats], 1 - decay)
    for name in now.keys() - set(floats):
        average[name].copy_(now[name])


def precision(device: torch.device) -> tuple[torch.dtype | None, str]:
    """Return what a device multiplies in under autocast, None for 32-bit floats alone, and what to say of it.

    bfloat16 where a GPU computes in it. Not float16, whose small gradients would need their loss scaled.
    """
    if device.type != "cuda":
        return None, ""
    # Ampere, 8.0, is the first to compute in bfloat16; older ones emulate it, slower than 32-bit floats.
    if torch.version.hip or torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16, ""
    name = torch.cuda.get_device_name(device)
    return None, f"{name} does not compute in bfloat16: training in 32-bit floats, which takes longer."


def _join(device: torch.device) -> tuple[int, int]:
    """Join the processes that torchrun started, if any; return this one's index and their number."""
    if not torch.distributed.is_torchelastic_launched():
        return 0, 1
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def _name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device} ({torch.get_num_threads()} threads)"
    )


if __name__ == "__main__":
    arguments = parse(TrainArguments, __doc__)
    with script("train"):
        main(arguments)
