"""A system's folder of work: parts that are done once, go on after a kill, and say how long they took.

data/        the image sets, unless SOURCE is used as it is; set.json says what is in them
runs/NAME/   a recipe's run, as `fakelens train` leaves it
NAME/        a report, as `fakelens evaluate` leaves it, or an ablation
times/       minutes of each part, over all its attempts
result.json  the table of the system; result.md shows it
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from beside import Call, run_beside

from fakelens.atomic import write_json
from fakelens.evaluation.plots.plots import learning_curves
from fakelens.evaluation.run import Options, evaluate_models, find_out
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe, overrides_of

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
        jobs: Parts that run beside one another, at most, each in a process of its own.
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
    jobs: int = 1
    keys: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    reports: dict[str, Path] = field(default_factory=dict)

    def ahead(self, calls: Mapping[str, Call]) -> None:
        """Run parts beside one another, if more than one may: what comes after finds them finished.

        Args:
            calls: By name, the longest first; each leaves what it does on disk.

        Raises:
            UserError: If one failed, once all others have finished.
        """
        if self.jobs > 1 and len(calls) > 1:
            run_beside({f"{self.system}: {name}": call for name, call in calls.items()}, self.jobs)

    def trainings(self, recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, Call]:
        """Return the trainings that are not finished, for `ahead`.

        Args:
            recipes: Each one's keys by its name.
        """
        return {
            f"training {recipe}": partial(self.train, recipe, keys)
            for recipe, keys in recipes.items()
            if not (self.folder / "runs" / recipe / "model" / "run.json").exists()
        }

    def train(self, recipe: str, keys: Mapping[str, Any] | None = None) -> Path:
        """Run a recipe, or go on with it; a finished run of the same keys is taken as it is.

        Args:
            recipe: Its name, which is the run's too.
            keys: Of the recipe, over its own.

        Returns:
            The model's folder.

        Raises:
            UserError: If the folder holds a run with other keys.
        """
        out = self.folder / "runs" / recipe
        model = self.models[recipe] = out / "model"
        asked = load_recipe(recipe, overrides_of(self.recipe_keys(recipe, out, keys)))
        if (model / "run.json").exists():
            return train(asked)  # which looks at the keys: a run that was cut short is no full one
        print(f"{self.system}: training {recipe}", flush=True)
        with self.timed(f"train {recipe}"):
            train(asked)
        if (out / "metrics.csv").exists():
            learning_curves(out / "metrics.csv", out / "plots")
        return model

    def recipe_keys(self, recipe: str, out: Path, keys: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the keys that a recipe gets.

        Args:
            recipe: Its name.
            out: The run's folder.
            keys: Those of this run alone.
        """
        asked = {**self.keys, **(keys or {})}
        found = {"data": self.data, "output_dir": str(out), "resume": True, "report_to": "none", "disable_tqdm": True}
        own = load_recipe(recipe, overrides_of({"data": self.data, **asked}))
        if own.model.members:
            return found | asked
        run = own.run
        if self.per_pass and self.per_pass < run.per_device_train_batch_size:
            batch = run.per_device_train_batch_size * run.gradient_accumulation_steps
            found |= {
                "per_device_train_batch_size": self.per_pass,
                "gradient_accumulation_steps": max(1, round(batch / self.per_pass)),
                "per_device_eval_batch_size": min(run.per_device_eval_batch_size, self.per_pass),
            }
        if self.steps and run.phases:
            for number in range(len(run.phases)):
                found |= {f"phases.{number}.epochs": None, f"phases.{number}.steps": self.steps}
        elif self.steps:
            found["max_steps"] = self.steps
        if self.is_smoke:
            found |= {"image_size": 32, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
            found |= {"eval_steps": self.steps, "save_only_model": True}
        return found | asked

    def evaluate(self, name: str, models: Sequence[Path], **options: Any) -> dict[str, Any]:
        """Evaluate models on the work's splits, or go on with it, and return the report.

        Args:
            name: The report's. One that is there, and not older than its models, is read.
            models: Folders of models, or of checkpoints.
            **options: Of `fakelens.evaluation.run.Options`.
        """
        out = self.reports[name] = self.folder / name
        if not self._is_reported(name, models):
            print(f"{self.system}: evaluating {name}", flush=True)
            with self.timed(f"evaluate {name}"):
                evaluate_models([str(m) for m in models], self.data, out, self.splits, Options(**options))
        return json.loads((out / "report.json").read_text(encoding="utf-8"))

    def evaluations(self, name: str, models: Sequence[Path], **options: Any) -> dict[str, Call]:
        """Return the evaluation of each model, for `ahead`; `evaluate` then writes their report.

        Args:
            name: The report's. There is nothing to do ahead of one that is there.
            models: Folders of models.
            **options: As of `evaluate`.
        """
        if self._is_reported(name, models):
            return {}
        # The gallery is in the report alone: it is not kept.
        return {f"evaluating {m}": partial(self._evaluate_one, name, m, options | {"gallery": 0}) for m in models}

    def _evaluate_one(self, name: str, model: Path, options: Mapping[str, Any]) -> None:
        with self.timed(f"evaluate {name}, {model.relative_to(self.folder)}"):
            find_out([str(model)], self.data, self.folder / name, self.splits, Options(**options))

    def _is_reported(self, name: str, models: Sequence[Path]) -> bool:
        path = self.folder / name / "report.json"
        newest = max(weights.stat().st_mtime for model in models for weights in model.rglob("model.safetensors"))
        return path.exists() and path.stat().st_mtime >= newest

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add what a block takes to the part's time, noting it again and again: a kill loses seconds.

        Args:
            part: Its name.
        """
        path = self.folder / "times" / f"{part.replace('/', '_')}.json"
        spent = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"minutes": 0, "core_minutes": 0}
        start, core, done = time.monotonic(), _core_seconds(), threading.Event()

        def note(finished: bool) -> None:
            write_json(path, {
                "part": part,
                "minutes": round(spent["minutes"] + (time.monotonic() - start) / 60, 2),
                "core_minutes": round(spent["core_minutes"] + (_core_seconds() - core) / 60, 2),
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


def _core_seconds() -> float:
    """Return what this process has had of all cores, with its loader workers that have ended."""
    return sum(os.times()[:4])
