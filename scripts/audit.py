"""`fakelens audit` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.data.audit import VERB

if __name__ == "__main__":
    VERB.run()
