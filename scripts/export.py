"""`fakelens export` as a file, which `accelerate launch` and `torchrun` take."""

from fakelens.cli.verbs.publishing.export import VERB

if __name__ == "__main__":
    VERB.run()
