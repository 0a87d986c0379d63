r"""Evaluate detectors: numbers, plots and every score, as a report.

    fakelens evaluate --model runs/custom_cnn/model --data path/to/folder --output runs/custom_cnn/report
    fakelens evaluate --model USER/NAME runs/custom_cnn/model --data ComplexDataLab/OpenFake:core \
        --split validation test --views raw normalised hard --limit 2000 --output runs/compared
    fakelens evaluate --model runs/s4_resnet_se/phases/00-base runs/s4_resnet_se/model --data path/to/folder \
        --attack fgsm pgd --eps 0 0.02 0.05 0.08 --attack_limit 500 --output runs/before_and_after
    accelerate launch --num_processes 8 scripts/evaluate.py --model USER/NAME --data SOURCE --output runs/report

Writes report.json, report.md, predictions.csv, plots and a gallery. The same command after a kill goes on where it
stopped, by what it kept in OUTPUT.partial; several processes share the rows between them. Numbers are given for the
files as they are (raw) and with both classes at one size, format and quality (normalised), to show how much of a score
rests on these. A model that tells generators apart has its answers compared with the data's; one below --unknown_below
is "unknown generator".
"""

from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import SOURCE, SeveralModelsArguments
from fakelens.cli.verb import dataclass_verb
from fakelens.data.transforms.views import VIEWS


@dataclass
class EvaluateArguments(SeveralModelsArguments):
    """What to evaluate, on what."""

    model: list[str] = field(
        metadata={"help": "Folders of models, folders of checkpoints (every checkpoint-* is evaluated), or Hub repos."}
    )
    data: str = field(metadata={"help": SOURCE})
    output: str = field(metadata={"help": "Folder for the report. One that holds a report is replaced at the end."})
    split: list[str] = field(default_factory=lambda: ["test"], metadata={"help": "Splits to evaluate on."})
    views: list[str] = field(
        default_factory=lambda: ["raw", "normalised"], metadata={"help": f"Any of: {', '.join(VIEWS)}."}
    )
    batch_size: int = field(default=32, metadata={"help": "Images per forward pass."})
    attack: list[str] = field(
        default_factory=list, metadata={"help": "fgsm, pgd: also score under attack. An ensemble is not attacked."}
    )
    eps: list[float] | None = field(
        default=None, metadata={"help": "Strengths of the attack, in [0, 1]. Default: 0 0.02 0.05 0.08."}
    )
    attack_limit: int | None = field(
        default=None, metadata={"help": "Attack only this many images of each split, half of them of each class."}
    )
    unknown_below: float = field(
        default=0.5,
        metadata={"help": "Fraction of P(fake) that the likeliest generator must have; else it is called unknown."},
    )
    robustness: bool = field(
        default=False,
        metadata={
            "help": "Also score the images after JPEG, WebP, resizing, blur, noise, weather, screenshots, posts."
        },
    )
    robustness_limit: int | None = field(
        default=None, metadata={"help": "Degrade only this many images of each split, half of them of each class."}
    )
    gallery: int = field(
        default=4, metadata={"help": "Show so many images of each kind that a model was surest of; 0 for none."}
    )
    audit: bool = field(default=True, metadata={"help": "Say what file facts alone, the image unseen, would score."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    limit: int | None = field(
        default=None,
        metadata={"help": "Read only this many rows from the start of each split; they may be one class."},
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: EvaluateArguments) -> None:
    """Evaluate, and print a summary and where the report is."""
    from accelerate import PartialState

    from fakelens.errors import UserError
    from fakelens.evaluation.attacks.adversarial import STRENGTHS
    from fakelens.evaluation.report.console import print_summary
    from fakelens.evaluation.run import Options, evaluate_models

    if not args.attack and (args.eps is not None or args.attack_limit is not None):
        raise UserError("--eps and --attack_limit belong to --attack fgsm or --attack pgd.")
    if not args.robustness and args.robustness_limit is not None:
        raise UserError("--robustness_limit belongs to --robustness.")
    output = Path(args.output)
    read, model_rules = args.read_options()
    options = Options(
        views=args.views,
        batch_size=args.batch_size,
        device=args.device,
        limit=args.limit,
        trust_remote_code=args.trust_remote_code,
        read=read,
        model_rules=model_rules,
        attacks=args.attack,
        strengths=STRENGTHS if args.eps is None else args.eps,
        attack_limit=args.attack_limit,
        robustness=args.robustness,
        robustness_limit=args.robustness_limit,
        unknown_below=args.unknown_below,
        audit=args.audit,
        gallery=args.gallery,
    )
    report = evaluate_models(args.model, args.data, output, args.split, options)
    if PartialState().is_main_process:
        print_summary(report)
        print(f"The report is in {output}: start with {output / 'report.md'}.")


VERB = dataclass_verb("evaluate", main, EvaluateArguments, __doc__)
