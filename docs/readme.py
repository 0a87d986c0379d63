"""What README.md shows of the detector in the package: a figure of a verdict, an example's output, measured numbers.

    python docs/readme.py

writes all three anew, after the weights have changed.
"""

import io
import re
from contextlib import chdir, redirect_stdout
from pathlib import Path

from PIL import Image

from fakelens import load_detector
from fakelens.explain.figure import verdict_figure
from fakelens.hub.facts.local_models import trained
from fakelens.zoo.shipped import SHIPPED_FOLDER

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FIGURE = ROOT / "docs" / "images" / "verdict.png"
PHOTOGRAPH = ROOT / "space" / "examples" / "photograph.png"  # scikit-image's "chelsea" (Stefan van der Walt, CC0)
MARKED = re.compile(r"(<!-- (\w+): begin -->\n).*?(<!-- \2: end -->)", flags=re.DOTALL)
# What the splits of the card are. One that is not here is shown by its name alone.
SPLITS = {
    "validation": "generators that it was trained on",
    "test": "generators that it never saw",
    "wild": "sets that others collected as hard",
}


def figure() -> Image.Image:
    """Return the figure of the shipped detector's verdict on a photograph, in 256 colours."""
    detector = load_detector(device="cpu")
    with Image.open(PHOTOGRAPH) as opened:
        image = opened.convert("RGB")
    drawn = io.BytesIO()
    verdict_figure(detector, image, detector(PHOTOGRAPH), PHOTOGRAPH.name).savefig(drawn, format="png")
    return Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)


def output(readme: str) -> str:
    """Return what README's first block of Python prints, as a block.

    Args:
        readme: The page.
    """
    code = readme.partition("```python\n")[2].partition("```")[0]
    said = io.StringIO()
    with chdir(PHOTOGRAPH.parent), redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    return f"```text\n{said.getvalue()}```\n"


def numbers() -> str:
    """Return the table of what the shipped model's card states, a row a split."""
    model = trained(SHIPPED_FOLDER)
    rows = ["| model | images | AUROC as the files are | AUROC at one size and format |", "|---|---|---|---|"]
    name = f"`{model.path}`, {model.parameters:,} parameters"
    for score in model.scores:
        about = SPLITS.get(score.split, score.split)
        rows.append(f"| {name} | {about} | {score.auroc['raw']:.2f} | {score.auroc['normalised']:.2f} |")
        name = ""  # its further rows stand below
    return "\n".join(rows) + "\n"


def filled(readme: str) -> str:
    """Return README.md with its marked parts written anew.

    Args:
        readme: The page.
    """
    parts = {"output": output(readme), "numbers": numbers()}
    return MARKED.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[3]}", readme)


def main() -> None:
    """Write the figure and the page."""
    figure().save(FIGURE, optimize=True)
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
