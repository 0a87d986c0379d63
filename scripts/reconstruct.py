"""`fakelens reconstruct` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.data.reconstruct import VERB

if __name__ == "__main__":
    VERB.run()
