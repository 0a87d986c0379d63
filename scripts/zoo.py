"""List the networks of the zoo with their true sizes. `fakelens models` lists trained models too, with their scores.

python scripts/zoo.py
python scripts/zoo.py --json
"""

from dataclasses import dataclass, field

from fakelens.cli.script import parse, script


@dataclass
class ZooArguments:
    """How to print."""

    json: bool = field(default=False, metadata={"help": "One JSON object a line."})


def main(args: ZooArguments) -> None:
    """Print the list."""
    from fakelens.cli.output.model_tables import write_json, write_networks
    from fakelens.zoo.facts import NETWORKS

    (write_json if args.json else write_networks)(NETWORKS)


if __name__ == "__main__":
    arguments = parse(ZooArguments, __doc__)
    with script("zoo"):
        main(arguments)
