"""`fakelens score` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.evaluation.score import VERB

if __name__ == "__main__":
    VERB.run()
