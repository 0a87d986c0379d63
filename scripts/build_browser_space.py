r"""Put together a static Space that runs a detector in the visitor's browser: no image leaves their machine.

    npm --prefix space/browser ci
    python scripts/export.py --model runs/custom_cnn/model --output runs/custom_cnn/onnx
    python scripts/build_browser_space.py --model runs/custom_cnn/onnx --output dist/custom_cnn
    python -m http.server --directory dist/custom_cnn
    hf upload USER/SPACE dist/custom_cnn --repo-type space

Copies the page (space/browser), onnxruntime-web and the exported model into one folder, and no more: any web server
can serve it. With --model DIR/model_int8.onnx the quantised copy is taken, a quarter of the download.
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakelens.cli.script import parse, script

if TYPE_CHECKING:
    from fakelens.inference.thresholds import Thresholds

PAGE = Path(__file__).parents[1] / "space" / "browser"
RUNTIME = PAGE / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
SETTINGS = ("config.json", "preprocessor_config.json")


@dataclass
class BrowserSpaceArguments:
    """What to put where."""

    model: str = field(metadata={"help": "Folder that scripts/export.py wrote, or an ONNX file in it."})
    output: str = field(metadata={"help": "Folder to write. One that holds such a Space is replaced."})


def main(args: BrowserSpaceArguments) -> None:
    """Copy everything into the output folder, and say how large it is."""
    from fakelens.errors import UserError

    weights, output = find_weights(args.model), Path(args.output)
    missing = [name for name in RUNTIME_FILES if not (RUNTIME / name).is_file()]
    if missing:
        raise UserError(f"onnxruntime-web is not there ({missing[0]}). Fetch it: npm --prefix space/browser ci")
    is_space = (output / "onnxruntime" / RUNTIME_FILES[0]).is_file()
    is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not (is_free or is_space) or output.resolve() in weights.resolve().parents:
        raise UserError(f"{output} holds something else than such a Space. Name a new folder with --output.")
    from fakelens.inference.detector import load_detector

    said = json.dumps(verdicts(load_detector(weights, "cpu").thresholds()), indent=1)
    try:
        if output.exists():
            shutil.rmtree(output)
        copies = {path: output / path.name for kind in ("html", "css", "js", "md") for path in PAGE.glob(f"*.{kind}")}
        copies |= {RUNTIME / name: output / "onnxruntime" / name for name in RUNTIME_FILES}
        copies |= {weights.parent / name: output / "model" / name for name in SETTINGS}
        copies[weights] = output / "model" / "model.onnx"
        for source, target in copies.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        (output / "model" / "verdicts.json").write_text(said, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{output} could not be written: {error.strerror or error}. Name another --output.") from error
    size = sum(target.stat().st_size for target in copies.values())
    print(f"The Space is in {output}: {len(copies) + 1} files, {size / 1e6:.1f} MB.")


def verdicts(thresholds: "Thresholds") -> dict[str, dict[str, Any]]:
    """Return where the page's verdict changes, and what it says of each score; all of it is Python's own.

    Args:
        thresholds: The model's.

    Returns:
        `thresholds` (`real_below`, `fake_from` and `decision`, to whose side an uncertain score leans), and sentences
        under "real", "fake", "uncertain, real" and "uncertain, fake", by "below 0.01", "0.01" to "0.99", "above 0.99".
    """
    from fakelens.inference.verdict import verdict_sentence

    named = {"below 0.01": 0.0, **{f"{n / 100:.2f}": n / 100 for n in range(1, 100)}, "above 0.99": 1.0}
    kinds = {"real": ("real", None), "fake": ("fake", None)}
    kinds |= {f"uncertain, {side}": ("uncertain", side) for side in ("real", "fake")}
    said = {
        kind: {name: verdict_sentence(score, thresholds, word, side) for name, score in named.items()}
        for kind, (word, side) in kinds.items()
    }
    return {"thresholds": asdict(thresholds), **said}


def find_weights(model: str) -> Path:
    """Return the ONNX file that a name stands for, having seen that a page can run it.

    Args:
        model: A folder or an ONNX file.

    Raises:
        UserError: If there is none, a file beside it is missing, or it needs more than one image at a time.
    """
    from fakelens.errors import UserError

    weights = Path(model) if model.endswith(".onnx") else Path(model) / "model.onnx"
    for path in (weights, *(weights.parent / name for name in SETTINGS)):
        if not path.is_file():
            raise UserError(f"There is no {path}. Make the folder with scripts/export.py and name it with --model.")
    kind = json.loads((weights.parent / SETTINGS[1]).read_text(encoding="utf-8")).get("image_processor_type")
    if kind not in ("DetectorImageProcessor", "ViTImageProcessor"):
        raise UserError(
            f"{model} has a {kind}, which the page cannot run. Name another model; an ensemble's member will do."
        )
    return weights


if __name__ == "__main__":
    arguments = parse(BrowserSpaceArguments, __doc__)
    with script("build_browser_space"):
        main(arguments)
