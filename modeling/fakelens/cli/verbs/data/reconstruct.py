r"""Make content-aligned fakes: send a data set's real images through a generator's autoencoder.

    fakelens reconstruct --data path/to/folder --output path/to/pairs \
        --autoencoder encoder.safetensors decoder.safetensors
    fakelens reconstruct --data ComplexDataLab/OpenFake:core --limit 20000 --output path/to/pairs \
        --autoencoder madebyollin/sdxl-vae-fp16-fix --scales 1.0 0.5
    fakelens reconstruct --data path/to/folder --output path/to/pairs --autoencoder small --quality 95

`small` trains small autoencoders of many kinds on the real images first, under a minute each on a free processor core,
keeps them in `path/to/pairs/autoencoders`, and sends every image through some of them: a detector that learnt many
decoders knows more unseen ones than one that learnt a single decoder.

Writes parquet shards in OpenFake's columns with `id`, `source` and `pair`; the halves of a pair share their size and
JPEG quality. The same command again goes on with a run that was cut short. What is written is a data source like any
other: `fakelens audit --data path/to/pairs` says whether anything but the generator's trace separates the classes.
"""

from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import SOURCE, ReadArguments
from fakelens.cli.verb import dataclass_verb


@dataclass
class ReconstructArguments(ReadArguments):
    """What to reconstruct, and by what."""

    data: str = field(metadata={"help": SOURCE})
    autoencoder: list[str] = field(
        metadata={
            "help": "Hub id or folder of diffusers' AutoencoderKL or AutoencoderTiny (needs the extra `reconstruct`), "
            "or two safetensors files of the tiny FLUX.2 kind: encoder, decoder; or `small` for small ones of many "
            "kinds, trained first, or some of them as `small:NAME[,NAME]`."
        }
    )
    output: str = field(metadata={"help": "Folder for the shards."})
    split: str = field(default="train", metadata={"help": "Split to read, and to write."})
    rounds: int = field(default=1, metadata={"help": "Round trips through the autoencoder."})
    scales: list[float] | None = field(
        default=None,
        metadata={
            "help": "A pair at each of these fractions of an image's size; with --per_image, a draw between the least "
            "and the greatest. Default: 1.0, for small autoencoders 0.4 0.95."
        },
    )
    per_image: int | None = field(
        default=None,
        metadata={
            "help": "Pairs of each image, each by one of the autoencoders and at a scale drawn for it. Default: a "
            "pair at each scale, for small autoencoders 4."
        },
    )
    training_steps: int = field(default=600, metadata={"help": "Training of each small autoencoder."})
    quality: list[int] = field(
        default_factory=lambda: [75, 80, 85, 90, 95],
        metadata={"help": "JPEG qualities; each pair draws one for both halves."},
    )
    max_side: int = field(default=1024, metadata={"help": "Larger sides are cropped to this, in pixels."})
    limit: int | None = field(default=None, metadata={"help": "Use only this many real images, from the start."})
    shard_images: int = field(default=200, metadata={"help": "Real images in one shard."})
    seed: int = field(default=42, metadata={"help": "Of the draws, and of small autoencoders."})
    name: str | None = field(default=None, metadata={"help": "What to call the generator; default: its files' name."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: a GPU if there is."})


def main(args: ReconstructArguments) -> None:
    """Write the pairs, and print what was made and where."""
    from dataclasses import replace

    from fakelens.data.aligned.autoencoders import open_autoencoder
    from fakelens.data.aligned.reconstruct import Reconstruction, begin, write_pairs
    from fakelens.data.aligned.small_collection import SCALES, open_small, small_kinds
    from fakelens.data.sources.opening import open_source
    from fakelens.errors import UserError

    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit is {args.limit}; it is a number of images, 1 or more.")
    kinds = small_kinds(args.autoencoder[0]) if len(args.autoencoder) == 1 else None
    settings = Reconstruction(
        args.rounds,
        tuple(args.scales or ((1.0,) if kinds is None else SCALES)),
        tuple(args.quality),
        args.max_side,
        args.seed,
        args.shard_images,
        4 if kinds is not None and args.per_image is None else args.per_image,
    )
    output = Path(args.output)
    if kinds is None:
        makers = [open_autoencoder(args.autoencoder, args.device)]
        if args.name:
            makers = [replace(makers[0], name=args.name)]
        source = open_source(args.data, args.split, args.read_options())
    else:
        if args.name:
            raise UserError("--name is for one autoencoder; small ones go by the names of their kinds.")
        source = open_source(args.data, args.split, args.read_options())
        begin(output, source, [kind.name for kind in kinds], settings, args.limit)  # before minutes of training
        makers = open_small(kinds, source, output, args.seed, args.training_steps, args.limit, args.device)
    done = write_pairs(source, makers, output, settings, args.limit)
    if done.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in done.skipped.items())
        print(f"{sum(done.skipped.values())} skipped ({reasons})")
    made_by = makers[0].name if len(makers) == 1 else f"{len(makers)} small autoencoders"
    print(f"{done.pairs} pairs made by {made_by}; {args.output} holds {len(done.shards)} shards of them.")


VERB = dataclass_verb("reconstruct", main, ReconstructArguments, __doc__)
