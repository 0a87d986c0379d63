"""The record of a run: a CSV row an evaluation, and what it ran on."""

import csv
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import accelerate
import datasets
import torch
import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import fakelens
from fakelens.atomic import replacing

COLUMNS = (
    "phase", "step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy", "eval_precision",
    "eval_recall", "eval_f1", "eval_auroc", "eval_runtime", "eval_samples_per_second",
)  # fmt: skip


class EpochRecord(TrainerCallback):
    """Appends a row to a CSV at every evaluation (reference system S1), and counts epochs by data seen.

    Args:
        path: The CSV; rows of other phases in it are kept, later rows of this phase are replaced on a resume.
        phase: The phase's name.
        steps_per_epoch: Optimiser steps in one pass over the data.
    """

    def __init__(self, path: Path, phase: str, steps_per_epoch: int):
        self.path = path
        self.phase = phase
        self.steps_per_epoch = steps_per_epoch
        self.last: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the rows that a resumed run will write again."""
        if state.is_world_process_zero and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            self._write([r for r in rows if r["phase"] != self.phase or int(r["step"]) <= state.global_step])

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the latest training figures."""
        self.last |= {k: v for k, v in (logs or {}).items() if k in ("loss", "learning_rate", "grad_norm")}

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append the row."""
        if not state.is_world_process_zero:
            return
        row = {k: v for k, v in {**self.last, **(metrics or {})}.items() if k in COLUMNS}
        row |= {"phase": self.phase, "step": state.global_step}
        row["epoch"] = round(state.global_step / self.steps_per_epoch, 4)
        rows = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        self._write([*rows, row])

    def _write(self, rows: list[dict[str, Any]]) -> None:
        write_rows(self.path, rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a CSV of `COLUMNS` atomically: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def environment(device: str) -> dict[str, Any]:
    """Return what a run ran on: versions, device, processors, memory."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "cpus": os.cpu_count(),
        "fakelens": fakelens.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "datasets": datasets.__version__,
        "accelerate": accelerate.__version__,
    }
    if sys.platform == "linux":
        facts["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return facts


def now() -> str:
    """Return the time as ISO 8601, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
