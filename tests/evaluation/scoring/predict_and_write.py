"""A process that scores a split, alone or as one of several: writes what it was given back and may be killed."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from fakelens.cli.script import script
from fakelens.data.sources.opening import open_source
from fakelens.evaluation.scoring.predict import predict
from fakelens.evaluation.scoring.ranks import Ranks
from fakelens.inference.detector import Detector, load_detector

CASES = {"dealt": {}, "limited": {"limit": 14}, "by_files": {}}


def case(name, data):
    """Return a case's source, by files as from the Hub, and its arguments."""
    source = open_source(data, "test")
    return replace(source, revision="pinned") if name == "by_files" else source, CASES[name]


def slow(self, inputs, predict=Detector.predict):
    time.sleep(0.3)
    return predict(self, inputs)


def main(what, model, data, folder):
    detector = load_detector(model, device="cpu")
    if what == "slowly":
        Detector.predict = slow
        predict(detector, open_source(data, "test"), ("raw", "hard"), partial=Path(folder))
        return
    ranks = Ranks.launched()
    for name in CASES:
        source, arguments = case(name, data)
        own = Path(folder) / name
        found = predict(detector, source, ("raw", "hard"), partial=own / "partial", ranks=ranks, **arguments)
        columns = {"ids": found.ids, "labels": found.labels, "generators": found.generators}
        scores = {f"score_{view}": values for view, values in found.scores.items()}
        facts = {"rows": found.rows, "processes": ranks.count}
        np.savez(own / f"{ranks.index}.npz", **columns, **scores, **facts)


if __name__ == "__main__":
    with script("predict_and_write"):  # which leaves the processes that were launched together
        main(*sys.argv[1:])
