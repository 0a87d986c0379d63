"""Show it all at work, without a network: sample, training, evaluation, Hub-ready folder, pipeline, shipped model.

    fakelens demo

Takes about two minutes on two cores the first time. The second time it reuses the sample and the trained model.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fakelens.cli.verb import dataclass_verb

FAKES_BY, FAKES_STEPS = "small-1-transposed4", 120  # the kind of small autoencoder that makes fakes, and its training


@dataclass
class DemoArguments:
    """Where to work."""

    output: str = field(default="runs/demo", metadata={"help": "Folder for the model, its report and the rest."})


def step(*words: str) -> None:
    """Say a command as a user would type it, and run it; a failure ends the demo with its own message."""
    print(f"\n$ fakelens {' '.join(words)}", flush=True)
    if code := subprocess.run([sys.executable, "-m", "fakelens", *words]).returncode:
        sys.exit(code)


def save_four_images(folder: Path) -> list[Path]:
    """Write two crops of photographs and two reconstructions of the sample's test split, named after what they are."""
    from fakelens.data.sources.labels import FAKE, REAL
    from fakelens.data.sources.opening import examples, open_source
    from fakelens.data.sources.skips import SkipLog

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for label, kind in ((REAL, "photograph"), (FAKE, "reconstruction")):
        found = (e for e in examples(open_source("sample", "test"), SkipLog()) if e.label == label)
        for example in islice(found, 2):
            paths.append(folder / f"{kind}-{example.id}.jpg")
            paths[-1].write_bytes(example.data)
    return paths


def classify(model: Path, images: list[Path]) -> Table:
    """Return a table of what each image is, what the published folder's own pipeline says of it, and our verdict."""
    from transformers import pipeline
    from transformers.utils import logging

    from fakelens import load_detector

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    detector = pipeline("image-classification", model=str(model), trust_remote_code=True)
    results = zip(images, detector([str(p) for p in images]), load_detector(model)(images), strict=True)
    table = Table("image", "what it is", "pipeline says", "P(fake)", "fakelens says")
    for path, rows, ours in results:
        scores = {row["label"]: row["score"] for row in rows}
        what, *name = path.stem.split("-")
        table.add_row("-".join(name[:2]), what, rows[0]["label"], f"{scores['fake']:.3f}", ours.verdict)
    return table


def save_photographs_and_fakes(folder: Path) -> list[Path]:
    """Write four photographs that scikit-image ships, and each as an autoencoder trained here draws it anew.

    Both halves of a pair have the same size and the same JPEG quality: the files give nothing away.

    Returns:
        The paths, photographs first.
    """
    import skimage.data
    import torch
    from PIL import Image

    from fakelens.data.aligned.reconstruct import make_pair
    from fakelens.data.aligned.small_autoencoders import KINDS, as_autoencoder, train_autoencoder

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = ("astronaut", "chelsea", "coffee", "rocket")
    photographs = [getattr(skimage.data, name)() for name in names]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same weights each time
    autoencoder = as_autoencoder(
        train_autoencoder(KINDS[FAKES_BY], photographs, steps=FAKES_STEPS, seed=0, device="cpu")
    )
    torch.set_num_threads(threads)
    paths: dict[str, list[Path]] = {"photograph": [], "reconstruction": []}
    for name, pixels in zip(names, photographs, strict=True):
        pair = make_pair(Image.fromarray(pixels), autoencoder, rounds=1, scale=0.75, max_side=512)
        for (kind, there), image in zip(paths.items(), pair or (), strict=True):
            there.append(folder / f"{kind}-{name}.jpg")
            image.save(there[-1], quality=92)
    return [*paths["photograph"], *paths["reconstruction"]]


def score_with_the_shipped_model(images: list[Path]) -> tuple[Table, str]:
    """Return a table of what the model inside the package says of photographs and fakes, and how often it is right."""
    from fakelens import load_detector

    detector = load_detector("patch_lens")
    table = Table("image", "what it is", "P(fake)", "fakelens says", "")
    counts = {"right": 0, "uncertain": 0, "wrong": 0, "right of two": 0}
    for path, found in zip(images, detector(images), strict=True):
        what, _, name = path.stem.partition("-")
        truth = "real" if what == "photograph" else "fake"
        mark = "uncertain" if found.verdict == "uncertain" else "right" if found.verdict == truth else "wrong"
        counts[mark] += 1
        score = float(found.score or 0)  # every one of these can be read
        counts["right of two"] += (score >= detector.threshold) == (truth == "fake")
        table.add_row(name, what, f"{score:.3f}", found.verdict, mark)
    return table, (
        f"The model inside the package got {counts['right']} of {len(images)} right and {counts['wrong']} wrong, and "
        f"was uncertain of {counts['uncertain']}.\nWithout that third verdict it would have got "
        f"{counts['right of two']} right."
    )


def main(args: DemoArguments) -> None:
    """Run every step and print the table."""
    out = Path(args.output)
    model, report, hub = out / "model", out / "report", out / "hub"
    step("train", "demo", "--output_dir", str(out), "--resume", "true")
    step("evaluate", "--model", str(model), "--data", "sample", "--split", "test", "--output", str(report))
    step("publish", "--model", str(model), "--repo-id", "you/fakelens-demo", "--report", str(report),
         "--dry-run", str(hub))  # fmt: skip
    images = save_four_images(out / "images")
    print(f"\n$ pipeline('image-classification', model='{hub}', trust_remote_code=True)")
    Console().print(classify(hub, images))
    print(
        "This detector was trained on the embedded sample: crops of four photographs and one small autoencoder's\n"
        "reconstructions of them. It shows the line at work and is of no use on other images. Inside the band that\n"
        "it was calibrated with fakelens says uncertain; on photographs it has never seen even that can be wrong.\n"
        f"Hub-ready folder: {hub}   model: {model}   report: {report / 'report.md'}"
    )
    print(f"\n$ load_detector('patch_lens')([... the eight images of {out / 'shipped'}])")
    table, count = score_with_the_shipped_model(save_photographs_and_fakes(out / "shipped"))
    Console().print(table)
    print(
        f"{count} The photographs are four that scikit-image ships; the fakes are\n"
        "the same ones as a small autoencoder draws them, which was trained here for some seconds. Eight images show\n"
        "it at work and not how good it is: that stands in its card, modeling/fakelens/shipped/patch_lens/README.md."
    )


VERB = dataclass_verb("demo", main, DemoArguments, __doc__)
