"""`fakelens leave-one-out` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.training.leave_one_out import VERB

if __name__ == "__main__":
    VERB.run()
