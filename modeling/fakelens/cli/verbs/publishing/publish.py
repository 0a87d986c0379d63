"""Publish a trained model as a Hub repo: weights, processor, code, card, results and example images in one commit.

    fakelens publish --model runs/custom_cnn/model --repo-id USER/NAME --report runs/custom_cnn/report
    fakelens publish --model runs/custom_cnn/model --repo-id USER/NAME --version 1.1.0 --examples my/images
    fakelens publish --model runs/custom_cnn/model --repo-id USER/NAME --dry-run runs/custom_cnn/hub
    fakelens publish --space true --repo-id USER/SPACE --models USER/NAME

--dry-run writes the files to a folder instead, without a network or a token. A push needs a token with write
access, from `hf auth login` or HF_TOKEN.

Publishing again replaces the card. What people wrote into it is kept if it stands between the card's two `yours` marks
or in a section (#, ##) with a heading that the card lacks; tags and front matter of their own are kept, too.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars
from transformers.utils.logging import disable_progress_bar

from fakelens.cli.verb import dataclass_verb
from fakelens.cli.waiting import waiting
from fakelens.errors import UserError
from fakelens.hub.card.examples import SAMPLE
from fakelens.hub.publish import assemble, collect_files
from fakelens.hub.push import check_version, publish
from fakelens.hub.space import SPACE_FILES, collect_space, publish_space
from fakelens.resources import resource


@dataclass
class PublishArguments:
    """What to publish, and where."""

    repo_id: str = field(metadata={"help": "USER/NAME on the Hub."})
    model: str | None = field(
        default=None, metadata={"help": "Folder that training wrote, with config.json and model.safetensors."}
    )
    space: bool = field(default=False, metadata={"help": "Publish the app in space/ instead of a model."})
    models: list[str] = field(
        default_factory=list,
        metadata={"help": "With --space: Hub ids of the models that it offers; without, patch_lens."},
    )
    report: str | None = field(
        default=None,
        metadata={"help": "Folder that fakelens evaluate wrote; without it the card says: not evaluated."},
    )
    examples: str = field(
        default="none",
        metadata={
            "help": "Folder of at most eight images to try on the model's page, which you may publish; `sample`: two "
            "crops of public-domain photographs and an autoencoder's reconstructions of them, which takes minutes to "
            "make, unless the repo has others; `none`."
        },
    )
    version: str | None = field(
        default=None,
        metadata={"help": "Name of this version, 1.2.0: the card states it, the commit is tagged v1.2.0."},
    )
    private: bool = field(default=False, metadata={"help": "Create the repo as a private one."})
    create_pr: bool = field(default=False, metadata={"help": "Open a pull request instead of changing the repo."})
    dry_run: str | None = field(default=None, metadata={"help": "Write the files to this folder; push nothing."})


def main(args: PublishArguments) -> None:
    """Write or push the repo and say where it is."""
    if not sys.stderr.isatty():
        disable_progress_bars()
        disable_progress_bar()
    if args.space:
        main_space(args)
        return
    if args.model is None or args.models:
        raise UserError(
            "Name a model's folder with --model, or say --space true [--models USER/NAME ...] for the app."
        )
    from fakelens.hub.shipped import with_code  # it imports torch, and `--help` does without
    from fakelens.zoo.shipped import SHIPPED

    with tempfile.TemporaryDirectory() as work:
        # What the package holds lacks the code that a repo needs.
        main_model(args, with_code(Path(work)) if args.model == SHIPPED else Path(args.model))


def main_model(args: PublishArguments, model: Path) -> None:
    """Write or push a model's repo and say where it is."""
    report = Path(args.report) if args.report else None
    check_version(args.version, args.create_pr)
    slow = "making example images, for minutes" if args.examples == SAMPLE else "checking weights and writing the card"
    with waiting(slow):
        files = collect_files(model, args.repo_id, report, examples=args.examples, version=args.version)
    if args.dry_run:
        assemble(files, Path(args.dry_run), [model, report] if report else [model])
        print("\n".join(files))
        print(f"{len(files)} files of {args.repo_id} are in {args.dry_run}. Nothing was pushed.")
        return
    published = publish(files, args.repo_id, args.private, args.create_pr, args.version)
    print(f"{published.url}\ncommit {published.commit}{'' if published.changed else ' (nothing to change)'}")
    if published.tag:
        print(f"tag {published.tag}")


def main_space(args: PublishArguments) -> None:
    """Write or push the Space and say where it is."""
    if args.model or args.report or args.version:
        raise UserError("--model, --report and --version belong to a model's repo; a Space takes --models USER/NAME.")
    folder = resource("space")
    files = collect_space(folder, args.models)
    if args.dry_run:
        assemble(files, Path(args.dry_run), [folder], SPACE_FILES)
        print(f"{len(files)} files of the Space {args.repo_id} are in {args.dry_run}. Nothing was pushed.")
        return
    published = publish_space(files, args.repo_id, args.models, args.private, args.create_pr)
    print(f"{published.url}\ncommit {published.commit}{'' if published.changed else ' (nothing to change)'}")


VERB = dataclass_verb("publish", main, PublishArguments, __doc__)
