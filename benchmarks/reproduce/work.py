"""A system's folder of work: parts that are done once, go on after a kill, and say how long they took.

data/        the image sets, unless SOURCE is used as it is; set.json says what is in them
runs/NAME/   a recipe's run, as `fakelens train` leaves it
NAME/        a report, as `fakelens evaluate` leaves it, or an ablation
times/       minutes of each part, over all its attempts
result.json  the table of the system; result.md shows it
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakelens.atomic import write_json
from fakelens.evaluation.plots.plots import learning_curves
from fakelens.evaluation.run import Options, evaluate_models
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe

BEAT = 15.0  # seconds between two notes of the time: what a kill loses


@dataclass
class Work:
    """One system's work.

    Attributes:
        system: Such as "s4".
        folder: Where all of it is.
        data: The SOURCE to train and evaluate on: a folder that was drawn, or what was named.
        splits: To evaluate on.
        per_pass: Images in one forward pass of training; larger batches are accumulated. None for the recipe's.
        steps: Optimiser steps of every phase; None for the recipe's epochs.
        is_smoke: Tiny networks' inputs, no optimiser states: to see that all goes together.
        keys: Keys that every recipe gets.
        models: The models' folders by their runs' names.
        reports: The reports' folders by name.
    """

    system: str
    folder: Path
    data: str = ""
    splits: Sequence[str] = ("test",)
    per_pass: int | None = None
    steps: int | None = None
    is_smoke: bool = False
    keys: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    reports: dict[str, Path] = field(default_factory=dict)

    def train(self, name: str, keys: Mapping[str, Any] | None = None, recipe: str | None = None) -> Path:
        """Run a recipe, or go on with it; a finished run is taken as it is.

        Args:
            name: The run's.
            keys: Of the recipe, over its own.
            recipe: Its name; the run's if None.

        Returns:
            The model's folder.
        """
        out = self.folder / "runs" / name
        self.models[name] = out / "model"
        if not (out / "model" / "run.json").exists():
            asked = load_recipe(recipe or name, words(self.recipe_keys(recipe or name, out, keys)))
            print(f"{self.system}: training {name}", flush=True)
            with self.timed(f"train {name}"):
                train(asked)
            if (out / "metrics.csv").exists():
                learning_curves(out / "metrics.csv", out / "plots")
        return self.models[name]

    def recipe_keys(self, recipe: str, out: Path, keys: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the keys that a recipe gets.

        Args:
            recipe: Its name.
            out: The run's folder.
            keys: Those of this run alone.
        """
        own = load_recipe(recipe, words({"data": self.data, **self.keys, **(keys or {})}))
        found = {"data": self.data, "output_dir": str(out), "resume": True, "report_to": "none", "disable_tqdm": True}
        batch = own.run.per_device_train_batch_size * own.run.gradient_accumulation_steps
        if own.model.members:
            return found | self.keys | dict(keys or {})
        if self.per_pass and self.per_pass < own.run.per_device_train_batch_size:
            found |= {
                "per_device_train_batch_size": self.per_pass,
                "gradient_accumulation_steps": max(1, round(batch / self.per_pass)),
                "per_device_eval_batch_size": min(own.run.per_device_eval_batch_size, self.per_pass),
            }
        if self.steps and own.run.phases:
            for number in range(len(own.run.phases)):
                found |= {f"phases.{number}.epochs": None, f"phases.{number}.steps": self.steps}
        elif self.steps:
            found["max_steps"] = self.steps
        if self.is_smoke:
            found |= {"image_size": 32, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
            found |= {"eval_steps": self.steps, "save_only_model": True}
        return found | self.keys | dict(keys or {})

    def evaluate(
        self, name: str, models: Sequence[Path], splits: Sequence[str] = (), **options: Any
    ) -> dict[str, Any]:
        """Evaluate models, or go on with it, and return the report; one that is there is read.

        Args:
            name: The report's.
            models: Folders of models, or of checkpoints.
            splits: Names of splits; those of the work if none.
            **options: Of `fakelens.evaluation.run.Options`.
        """
        out = self.reports[name] = self.folder / name
        if not (out / "report.json").exists():
            print(f"{self.system}: evaluating {name}", flush=True)
            with self.timed(f"evaluate {name}"):
                evaluate_models([str(m) for m in models], self.data, out, splits or self.splits, Options(**options))
        return json.loads((out / "report.json").read_text(encoding="utf-8"))

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add what a block takes to the part's time, noting it again and again: a kill loses seconds.

        Args:
            part: Its name.
        """
        path = self.folder / "times" / f"{part.replace('/', '_')}.json"
        spent = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"minutes": 0, "core_minutes": 0}
        start, core, done = time.monotonic(), time.process_time(), threading.Event()

        def note(finished: bool) -> None:
            write_json(path, {
                "part": part,
                "minutes": round(spent["minutes"] + (time.monotonic() - start) / 60, 2),
                "core_minutes": round(spent["core_minutes"] + (time.process_time() - core) / 60, 2),
                "finished": finished,
            })  # fmt: skip

        def beat() -> None:
            while not done.wait(BEAT):
                note(finished=False)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        finished = False
        try:
            yield
            finished = True
        finally:
            done.set()
            thread.join()
            note(finished)

    def times(self) -> dict[str, dict[str, Any]]:
        """Return the time of each part: minutes by the clock, and minutes of a core."""
        found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(self.folder.glob("times/*.json"))]
        return {one.pop("part"): one for one in found}


def words(keys: Mapping[str, Any]) -> list[str]:
    """Return a recipe's keys as words of a command line."""
    return [word for key, value in keys.items() for word in (f"--{key}", json.dumps(value))]
