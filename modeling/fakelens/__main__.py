"""`python -m fakelens` is `fakelens`; `torchrun -m fakelens` and `accelerate launch -m fakelens` start many of it."""

from fakelens.cli.app import app

if __name__ == "__main__":
    app(prog_name="fakelens")
