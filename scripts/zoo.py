"""List the networks of the zoo with their true sizes.

python scripts/zoo.py
python scripts/zoo.py --json
"""

import json
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from fakelens.script import parse, script


@dataclass
class ZooArguments:
    """How to print."""

    json: bool = field(default=False, metadata={"help": "One JSON object a line."})


def main(args: ZooArguments) -> None:
    """Build every network without its weights and count."""
    import torch

    from fakelens.zoo import ARCHITECTURES

    table = Table("name", "class", "parameters", "loads without remote code", "published weights")
    for name, row in ARCHITECTURES.items():
        with torch.device("meta"):
            count = row.build(row.configure(["real", "fake"], {})).num_parameters()
        if args.json:
            facts = {"name": name, "class": row.model_class.__name__, "parameters": count, "native": row.native}
            print(json.dumps(facts | {"pretrained": row.pretrained}))
        yes = "yes" if row.native else "no"
        table.add_row(name, row.model_class.__name__, f"{count:,}", yes, row.pretrained or "trained from scratch")
    if not args.json:
        Console().print(table)


if __name__ == "__main__":
    arguments = parse(ZooArguments, __doc__)
    with script("zoo"):
        main(arguments)
