"""Steps per second of our Trainer beside a bare PyTorch loop, beside itself fed from parquet, and on two processes.

    python benchmarks/training.py
    python benchmarks/training.py --steps 30 --rounds 5 --json

All take turns in one run on the embedded sample, so that a machine that slows down slows all; the ratios are the
figures. `bare`: a loop of forward, backward, clipping and step over rows in memory. `memory`: DetectorTrainer on the
same rows. `parquet`: DetectorTrainer on the stream that recipes train from, decoding included. `two`: the same on two
processes (torchrun, gloo) with half the threads each; its rate counts the images of both.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

from fakelens.cli.script import parse, script

WARM_UP = 3  # steps that are not counted
BATCH = 16
SIDE = 128  # pixels


@dataclass
class BenchmarkArguments:
    """How long to time."""

    steps: int = field(default=12, metadata={"help": "Counted steps in a turn."})
    rounds: int = field(default=3, metadata={"help": "Turns that each takes."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})
    one: str | None = field(default=None, metadata={"help": "Take one turn of this contender and print its rate."})


def build() -> tuple[Any, Any]:
    """Return the same network each time, and its processor."""
    from transformers import set_seed

    from fakelens.zoo.registry import build_detector, build_processor

    set_seed(0)
    return build_detector("custom_cnn"), build_processor("custom_cnn", SIDE)


def rows_in_memory() -> list[dict[str, Any]]:
    """Return processed rows for a few batches."""
    import torch

    torch.manual_seed(0)
    return [{"pixel_values": torch.randn(3, SIDE, SIDE), "labels": n % 2} for n in range(8 * BATCH)]


def bare(steps: int) -> float:
    """Return the images per second of a plain loop."""
    import torch

    model, _ = build()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    loader = torch.utils.data.DataLoader(
        rows_in_memory(), batch_size=BATCH, shuffle=True, collate_fn=torch.utils.data.default_collate
    )
    start, done = 0.0, 0
    while done < steps + WARM_UP:
        for batch in loader:
            if done == WARM_UP:
                start = time.perf_counter()
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if done == steps + WARM_UP:
                break
    return steps * BATCH / (time.perf_counter() - start)


def trained(steps: int, is_streamed: bool) -> float:
    """Return the images per second of DetectorTrainer over all processes."""
    from transformers import TrainerCallback, TrainingArguments

    from fakelens.data.sources.skips import SkipLog
    from fakelens.training.data.examples import Prepare
    from fakelens.training.data.training_data import open_training_data
    from fakelens.training.loop.trainer import DetectorTrainer
    from fakelens.training.recipe.recipe import DataArguments

    class Clock(TrainerCallback):
        """Notes when counting begins and ends."""

        start = end = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Take the time."""
            if state.global_step == WARM_UP:
                self.start = time.perf_counter()
            self.end = time.perf_counter()

    model, processor = build()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=steps + WARM_UP,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            optim="adamw_torch_fused",
            use_cpu=True,
            ddp_backend="gloo" if "WORLD_SIZE" in os.environ else None,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        data: Any = rows_in_memory()
        if is_streamed:
            opened = open_training_data(DataArguments(data="sample"), seed=0)
            data = opened.training_stream(Prepare(processor, opened.classes, SkipLog()), 0, 1000, arguments)
        clock = Clock()
        trainer = DetectorTrainer(
            model=model, args=arguments, train_dataset=data, processing_class=processor, callbacks=[clock]
        )
        trainer.train()
    return steps * BATCH * arguments.world_size / (clock.end - clock.start)


def turn(name: str, steps: int) -> float:
    """Take one contender's turn in a process of its own, so that none inherits another's threads or caches."""
    command = [sys.executable, __file__, "--one", name, "--steps", str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, os.cpu_count() or 1))}
    if name == "two":
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *command[1:]]
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // 2))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    rates = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("rate ")]
    if not rates:
        sys.exit(f"{name} did not finish:\n{done.stderr}")
    return float(rates[0])


def main(args: BenchmarkArguments) -> None:
    """Let all take turns, and print rates and ratios."""
    from fakelens.data.sample import make_sample

    if args.one:
        rate = bare(args.steps) if args.one == "bare" else trained(args.steps, args.one != "memory")
        if os.environ.get("RANK", "0") == "0":
            print(f"rate {rate}", flush=True)
        return
    make_sample()
    rates: dict[str, list[float]] = {name: [] for name in ("bare", "memory", "parquet", "two")}
    for _ in range(args.rounds):
        for name, found in rates.items():
            found.append(turn(name, args.steps))
    facts: dict[str, float] = {f"{name}_images_per_second": statistics.median(found) for name, found in rates.items()}
    for name, above, below in (
        ("memory/bare", "memory", "bare"),
        ("parquet/memory", "parquet", "memory"),
        ("two/parquet", "two", "parquet"),
    ):
        ratios = [a / b for a, b in zip(rates[above], rates[below], strict=True)]
        facts |= {f"{name}_median": statistics.median(ratios), f"{name}_min": min(ratios), f"{name}_max": max(ratios)}
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:28} {value:8.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("training"):
        main(arguments)
