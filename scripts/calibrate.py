"""`fakelens calibrate` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.training.calibrate import VERB

if __name__ == "__main__":
    VERB.run()
