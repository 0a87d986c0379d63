"""Publish a trained model as a Hub repo: weights, processor, code, card and evaluation results in one commit.

    python scripts/publish.py --model runs/custom_cnn/model --repo-id USER/NAME --report runs/custom_cnn/report
    python scripts/publish.py --model runs/custom_cnn/model --repo-id USER/NAME --dry-run runs/custom_cnn/hub

The second line writes the same files to a folder instead, without a network or a token. A push needs a token with
write access, from `hf auth login` or HF_TOKEN.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars

from fakelens.hub.publish import assemble, collect_files, publish
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
    private: bool = field(default=False, metadata={"help": "Create the repo as a private one."})
    create_pr: bool = field(default=False, metadata={"help": "Open a pull request instead of changing the repo."})
    dry_run: str | None = field(default=None, metadata={"help": "Write the files to this folder; push nothing."})


def main(args: PublishArguments) -> None:
    """Write or push the repo and say where it is."""
    if not sys.stderr.isatty():
        disable_progress_bars()
    model, report = Path(args.model), Path(args.report) if args.report else None
    if args.dry_run:
        files = assemble(model, Path(args.dry_run), args.repo_id, report)
        print("\n".join(files))
        print(f"{len(files)} files of {args.repo_id} are in {args.dry_run}. Nothing was pushed.")
        return
    published = publish(collect_files(model, args.repo_id, report), args.repo_id, args.private, args.create_pr)
    print(f"{published.url}\ncommit {published.commit}{'' if published.changed else ' (nothing to change)'}")


if __name__ == "__main__":
    arguments = parse(PublishArguments, __doc__)
    with script("publish"):
        main(arguments)
