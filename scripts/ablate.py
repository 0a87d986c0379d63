"""`fakelens ablate` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.training.ablate import VERB

if __name__ == "__main__":
    VERB.run()
