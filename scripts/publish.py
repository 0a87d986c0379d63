"""Publish a trained model as a Hub repo: weights, processor, code, card, results and example images in one commit.

    python scripts/publish.py --model runs/custom_cnn/model --repo-id USER/NAME --report runs/custom_cnn/report
    python scripts/publish.py --model runs/custom_cnn/model --repo-id USER/NAME --version 1.1.0 --examples my/pictures
    python scripts/publish.py --model runs/custom_cnn/model --repo-id USER/NAME --dry-run runs/custom_cnn/hub

The last line writes the files to a folder instead, without a network or a token. A push needs a token with write
access, from `hf auth login` or HF_TOKEN.

Publishing again replaces the card. What people wrote into it is kept if it stands between the card's two `yours` marks
or in a section (#, ##) with a heading that the card lacks; tags and front matter of their own are kept, too.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars
from transformers.utils.logging import disable_progress_bar

from fakelens.hub.publish import assemble, collect_files
from fakelens.hub.push import check_version, publish
from fakelens.script import parse, script


@dataclass
class PublishArguments:
    """What to publish, and where."""

    model: str = field(metadata={"help": "Folder that training wrote, with config.json and model.safetensors."})
    repo_id: str = field(metadata={"help": "USER/NAME on the Hub."})
    report: str | None = field(
        default=None,
        metadata={"help": "Folder that scripts/evaluate.py wrote; without it the card says: not evaluated."},
    )
    examples: str = field(
        default="sample",
        metadata={
            "help": "Folder of at most eight images to try on the model's page, which you may publish; `sample`: two "
            "crops of public-domain photographs and an autoencoder's reconstructions of them, unless the repo has "
            "others; `none`."
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
    model, report = Path(args.model), Path(args.report) if args.report else None
    check_version(args.version, args.create_pr)
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


if __name__ == "__main__":
    arguments = parse(PublishArguments, __doc__)
    with script("publish"):
        main(arguments)
