"""`fakelens prepare` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.data.prepare import VERB

if __name__ == "__main__":
    VERB.run()
