r"""Pack what a training of the flagship needs into one small folder, and read it again.

    python benchmarks/flagship/bundle.py --data POOL POOL2 --weights FIRST.safetensors --output bundle
    python benchmarks/flagship/bundle.py --data POOL POOL2 --pairs PAIRS --weights FIRST.safetensors --max_mib 400 \
        --output all

POOL is a SOURCE with splits `train` and `validation`; PAIRS is what scripts/reconstruct.py wrote. Images stay as they
are, byte for byte. Where they do not all fit, collections (a source and a generator) give an image each in turn until
the folder is full. The folder: `train.parquet`, `validation.parquet`, `pairs.parquet`, `weights.safetensors`,
`bundle.json`, which also says how batches are to be drawn.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from crops import drawing
from tqdm import tqdm

from fakelens.cli.script import SOURCE, parse, script
from fakelens.data.aligned.reconstruct import original_of
from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.opening import open_source
from fakelens.data.sources.patterns import matches
from fakelens.data.sources.reading import read
from fakelens.data.sources.rows import row_bytes
from fakelens.errors import UserError
from fakelens.zoo.registry import build_detector, build_processor

MIB = 2**20
VALIDATION = 0.12  # of the room for images
PAIRS = 0.2  # likewise, where there are pairs
COLUMNS = ("id", "bytes", "label", "generator", "source")
FILES = ("train", "validation", "pairs")


@dataclass
class BundleArguments:
    """What to pack."""

    data: list[str] = field(metadata={"help": f"One or more, each with train and validation: {SOURCE}"})
    weights: str = field(metadata={"help": "Safetensors to start from: the trunk's, or a whole patch lens's."})
    output: str = field(metadata={"help": "New folder."})
    pairs: list[str] = field(default_factory=list, metadata={"help": "SOURCEs made by scripts/reconstruct.py."})
    autoencoder: list[str] = field(
        default_factory=list,
        metadata={"help": "Encoder and decoder of a tiny FLUX.2 autoencoder: pairs are made with it in training."},
    )
    draw: str = field(
        default="{}",
        metadata={"help": "JSON: how train.py draws from it, other than by default (crops.py, `Draw`)."},
    )
    max_mib: float = field(default=55.0, metadata={"help": "The folder's size at most, in MiB."})


@dataclass(frozen=True)
class Bundle:
    """A bundle, read and decoded.

    Attributes:
        train: Rows trained on, each `pixels` (uint8, `(height, width, 3)`), `label`, `generator`, `source`.
        validation: Rows like them that are not.
        left_out: Rows of both files that the training is not to meet.
        pairs: Real rows, each followed by its reconstruction.
        facts: What `bundle.json` says.
        weights: The file to start from.
    """

    train: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    facts: dict[str, Any]
    weights: Path

    def model(self, seed: int, **options: Any) -> Any:
        """Build the network with the bundle's first weights; what they lack is drawn by the seed.

        Args:
            seed: Of the weights that are drawn.
            **options: Of `PatchLensConfig`, such as `stages`.
        """
        import torch

        torch.manual_seed(seed)
        return build_detector("patch_lens", weights=str(self.weights), **options)

    def without(self, leave_out: Sequence[str]) -> "Bundle":
        """Return the bundle as `read_bundle` does with `leave_out`, without reading it again."""
        return _split(self, leave_out)

    @property
    def processor(self) -> Any:
        """The image processor that goes with the network: four native crops of a large image, all of a small one."""
        return build_processor("patch_lens", image_size=128, crops_per_side=2)


def main(args: BundleArguments) -> dict[str, Any]:
    """Pack, and print what was packed."""
    out = Path(args.output)
    if out.exists():
        raise UserError(f"{out} is there already. Name a new folder with --output.")
    draw = drawing(args.draw)
    weights = Path(args.weights)
    if not weights.is_file():
        raise UserError(f"There are no weights at {weights}.")
    autoencoder = [Path(path) for path in args.autoencoder]
    if len(autoencoder) not in (0, 2) or not all(path.is_file() for path in autoencoder):
        raise UserError("--autoencoder takes two files that are there: an encoder's weights, then a decoder's.")
    room = args.max_mib * MIB - sum(path.stat().st_size for path in (weights, *autoencoder)) - MIB  # parquet's own
    if room <= 0:
        raise UserError(f"{weights} alone leaves no room in {args.max_mib:g} MiB. Raise --max_mib.")
    fractions = {"validation": VALIDATION, "pairs": PAIRS if args.pairs else 0.0}
    fractions["train"] = 1 - sum(fractions.values())
    rows = {split: _rows(args.data, split) for split in ("train", "validation")}
    rows["pairs"] = [row for pair in couples(_rows(args.pairs, "train")) for row in pair]
    chosen = {name: fit(rows[name], fractions[name] * room, 2 if name == "pairs" else 1) for name in FILES}
    if missing := [name for name in ("train", "validation") if len({row["label"] for row in chosen[name]}) < 2]:
        raise UserError(
            f"Within {args.max_mib:g} MiB {missing[0]} has not both classes. Raise --max_mib, or give data."
        )
    out.mkdir(parents=True)
    for name in FILES:
        columns = {column: [row[column] for row in chosen[name]] for column in COLUMNS}
        pq.write_table(pa.table(columns), out / f"{name}.parquet", compression="none", row_group_size=500)
    shutil.copyfile(weights, out / "weights.safetensors")
    for path, name in zip(autoencoder, ("encoder", "decoder"), strict=False):
        shutil.copyfile(path, out / f"{name}.safetensors")
    size = sum(path.stat().st_size for path in out.iterdir()) / MIB
    facts = {
        "data": args.data,
        "mib": round(size, 1),
        "images": {name: len(chosen[name]) for name in FILES},
        "of": {name: len(rows[name]) for name in FILES},
        "draw": asdict(draw),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (out / "bundle.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=2))
    return facts


def fit(rows: Sequence[dict[str, Any]], room: float, together: int = 1) -> list[dict[str, Any]]:
    """Return rows that take at most `room` bytes, a collection giving one in turn with the others.

    Args:
        rows: Each with `bytes`, `source` and `generator`.
        room: In bytes.
        together: How many neighbouring rows are taken or left as one; they count as their last one's collection.
    """
    blocks = [rows[start : start + together] for start in range(0, len(rows), together)]
    waiting: dict[tuple[str, str], list[Sequence[dict[str, Any]]]] = {}
    for block in sorted(blocks, key=lambda block: hashlib.sha256(block[0]["id"].encode()).hexdigest()):
        waiting.setdefault((block[-1]["source"], block[-1]["generator"]), []).append(block)
    taken: list[dict[str, Any]] = []
    while waiting:
        for key in sorted(waiting):
            block = waiting[key].pop()
            room -= sum(len(row["bytes"]) for row in block)
            if room < 0:
                return taken
            taken.extend(block)
            if not waiting[key]:
                del waiting[key]
    return taken


def couples(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield real images with their reconstructions, by the ids that scripts/reconstruct.py gave them."""
    waiting: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = original_of(row["id"])
        if key is None:
            continue
        other = waiting.pop(key, None)
        if other is None or other["label"] == row["label"]:
            waiting[key] = row
        else:
            yield (other, row) if row["label"] else (row, other)


def read_bundle(folder: Path, leave_out: Sequence[str] = ()) -> Bundle:
    """Read and decode a bundle.

    Args:
        folder: What `main` wrote.
        leave_out: Sources and generators that go to `left_out`: see `is_left_out`.

    Raises:
        UserError: If it is no bundle, a name leaves nothing out, or what is left lacks a class.
    """
    if not (folder / "bundle.json").is_file():
        raise UserError(f"{folder} is no bundle: it has no bundle.json. Make one with bundle.py.")
    facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    parts = {name: _decoded(folder / f"{name}.parquet") for name in FILES}
    whole = Bundle(parts["train"], parts["validation"], [], parts["pairs"], facts, folder / "weights.safetensors")
    return _split(whole, leave_out)


def _split(whole: Bundle, leave_out: Sequence[str]) -> Bundle:
    everything = whole.train + whole.validation
    for pattern in leave_out:
        if not any(is_left_out(row, [pattern]) for row in everything):
            names = sorted({row["source"] for row in everything} | {row["generator"] for row in everything} - {"real"})
            raise UserError(f"--leave_out {pattern} matches no image. There are: {', '.join(names)}.")
    train, validation = (
        [row for row in rows if not is_left_out(row, leave_out)] for rows in (whole.train, whole.validation)
    )
    for name, rows in (("train", train), ("validation", validation)):
        if len({row["label"] for row in rows}) < 2:
            raise UserError(f"Nothing of one class is left in {name} once {', '.join(leave_out)} are out.")
    pairs = [
        row
        for pair in zip(whole.pairs[::2], whole.pairs[1::2], strict=True)
        if not is_left_out(pair[0], leave_out)
        for row in pair
    ]
    left_out = [row for row in everything if is_left_out(row, leave_out)]
    return Bundle(train, validation, left_out, pairs, whole.facts, whole.weights)


def is_left_out(row: dict[str, Any], patterns: Sequence[str]) -> bool:
    """Tell whether a row's source or generator matches a pattern.

    Args:
        row: With `source` and `generator`.
        patterns: Each NAME, a pattern as shells have them, or PATTERN#K/N: of what it matches, the K-th of N parts.
    """
    return any(matches(name, pattern) for pattern in patterns for name in (row["source"], row["generator"]))


def _rows(specs: Sequence[str], split: str) -> list[dict[str, Any]]:
    found = []
    for spec in specs:
        for row in tqdm(read(open_source(spec, split)), desc=f"{spec}, {split}", unit="image", disable=None):
            image = row.pop("image")
            found.append(row | {"bytes": row_bytes(image)})
    return found


def _decoded(path: Path) -> list[dict[str, Any]]:
    with ThreadPoolExecutor() as threads:
        return [row for row in threads.map(_with_pixels, pq.read_table(path).to_pylist()) if row]


def _with_pixels(row: dict[str, Any]) -> dict[str, Any] | None:
    try:
        image = decode_image(row.pop("bytes")).image
    except ImageError:
        return None
    return row | {"pixels": np.asarray(image)}


if __name__ == "__main__":
    arguments = parse(BundleArguments, __doc__)
    with script("bundle"):
        main(arguments)
