"""Image -> verdict: the one object that the command line, the Space and the evaluation share."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.data.decode import ImageError
from fakelens.data.sources.label_rules import LabelRules
from fakelens.errors import UserError
from fakelens.inference.classes.readout import read_classes
from fakelens.inference.folding import FoldedNetwork
from fakelens.inference.loading import load_network
from fakelens.inference.onnx_model import OnnxModel
from fakelens.inference.reading import ImageSource, ReadImage, read_image
from fakelens.inference.threads import worker_count, workers
from fakelens.inference.thresholds import Thresholds, calibration_of, choose
from fakelens.inference.verdict import Verdict, verdict_sentence
from fakelens.provenance.read import disagreement
from fakelens.zoo.shipped import DEFAULT_MODEL, model_name

BATCH_SIZE = 16
# Images that a CPU takes through a network at a time. With more, activations outgrow its caches and what the C
# library keeps for reuse, and every image takes longer.
CPU_BATCH = 4


class Detector:
    """A model with its processor, callable on images.

    A model that was calibrated has an uncertain band around its decision threshold: below the band an image is real,
    from its upper end on it is fake. Where two verdicts are wanted, the decision threshold alone divides them.

    Args:
        model: Any image classifier whose classes are real and fake, by whatever names.
        processor: The model's own image processor.
        name: What to call it in results.
        device: Where to run it, as torch names devices; the fastest one present if None.
        rules: What the user says of its classes; None for the vocabulary alone.

    Attributes:
        readout: What its logits mean.
        classes: What the columns of `probabilities` are: "real", then "fake", or the kinds of fake that it tells
            apart.

    Raises:
        UserError: If the device cannot be used, or its classes are not understood.

    Examples:
        >>> from fakelens import Detector, build_detector, build_processor
        >>> detector = Detector(build_detector("custom_cnn"), build_processor("custom_cnn"), "new", device="cpu")
        >>> detector("photo.jpg").error is None
        True
        >>> [verdict.error is None for verdict in detector(["photo.jpg", "other.png"])]
        [True, True]
    """

    def __init__(
        self,
        model: PreTrainedModel | OnnxModel,
        processor: BaseImageProcessor,
        name: str = "",
        device: str | None = None,
        rules: LabelRules | None = None,
    ):
        self.name = name
        try:
            self.device = torch.device(device) if device else _fastest_device()
            self.model = model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            first = str(error).splitlines()[0]
            raise UserError(
                f"Device {device!r} cannot be used here: {first}. Leave --device out or say cpu."
            ) from None
        self.processor = processor
        # What scores; gradients, maps and what is saved are the model's own.
        folds = self.device.type == "cpu" and not isinstance(model, OnnxModel)
        self._network = FoldedNetwork(self.model) if folds else self.model
        # On an accelerator one batch after the other; on a CPU each thread takes its own through the network.
        self._turn: AbstractContextManager[Any] = nullcontext() if self.device.type == "cpu" else Lock()
        self.readout = read_classes(model.config, rules or LabelRules(), name)
        self.classes = self.readout.classes
        self.read_config()

    def read_config(self) -> None:
        """Take up what calibration wrote into the model's config; a model that was never calibrated has none of it."""
        settings = self.model.config.to_dict()
        self.threshold, self.uncertain_band, self.fpr_thresholds = calibration_of(settings)
        # By what the logits are divided: by the model itself, or by the weights of its last layer.
        self.temperature = float(settings.get("logit_temperature", settings.get("calibrated_temperature", 1.0)))

    def require_pytorch(self) -> None:
        """Refuse a network in ONNX, where its gradients or weights are needed.

        Raises:
            UserError: If it is one.
        """
        if isinstance(self.model, OnnxModel):
            raise self.model.refusal()

    def scores(self, images: Image.Image | list[Image.Image]) -> np.ndarray:
        """Return P(fake) in [0, 1], of shape `(len(images),)`, for one RGB image or many, of any size."""
        return p_fake(self.probabilities(images))

    def probabilities(self, images: Image.Image | list[Image.Image]) -> np.ndarray:
        """Return the probability of each of `classes`, of shape `(len(images), classes)`, for one image or many."""
        return self.predict(self.process(images))

    def process(self, images: Image.Image | Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Return what the network takes for RGB images of any size, with a first dimension of `len(images)`.

        One image counts as a list of one.
        Most processors make `pixel_values`; an ensemble's makes one such tensor for each member.
        """
        images = [images] if isinstance(images, Image.Image) else images
        # One call an image: processors stack only images of equal size.
        return _stack([self.processor(images=image, return_tensors="pt") for image in images])

    def predict(self, inputs: dict[str, torch.Tensor], step: int | None = None) -> np.ndarray:
        """Return the probability of each of `classes`, of shape `(batch_size, classes)`, for what `process` made.

        May be called from several threads.

        Args:
            inputs: What `process` made.
            step: How many images go through the network at a time, at least 1; what is best here if None.
        """
        count = len(next(iter(inputs.values())))
        step = step or self.at_once(count)
        with self._turn:
            parts = [
                self._logits({name: tensor[start : start + step] for name, tensor in inputs.items()})
                for start in range(0, count, step)
            ]
        # In float32 a sure network's scores would round to 0 and 1, and the order among them would be lost.
        return self.readout(torch.cat(parts).double()).softmax(dim=-1).numpy()

    def score_pixels(self, pixel_values: torch.Tensor) -> np.ndarray:
        """Return P(fake) in [0, 1] for processed images of shape `(batch_size, 3, height, width)`."""
        return p_fake(self.predict({"pixel_values": pixel_values}))

    def at_once(self, batch_size: int) -> int:
        """Return how many of `batch_size` images best go through the network at a time."""
        return min(batch_size, CPU_BATCH) if self.device.type == "cpu" else batch_size

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width in pixels of what the network takes; None for an ensemble, whose members may differ."""
        inputs = self.process([Image.new("RGB", (64, 64), "grey")])
        if "pixel_values" not in inputs:
            return None
        height, width = inputs["pixel_values"].shape[-2:]
        return height, width

    @property
    def workers(self) -> int:
        """How many threads should work for this detector at once."""
        return worker_count(self.device)

    def _logits(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            if self.device.type == "cpu":
                batch = {name: _channels_last(tensor) for name, tensor in batch.items()}
            return self._network(**batch).logits.cpu()

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is an iterable of str, too; it is one path
        self, images: ImageSource, max_fpr: float | None = None, batch_size: int = BATCH_SIZE
    ) -> Verdict: ...

    @overload
    def __call__(
        self, images: Iterable[ImageSource], max_fpr: float | None = None, batch_size: int = BATCH_SIZE
    ) -> list[Verdict]: ...

    def __call__(
        self,
        images: ImageSource | Iterable[ImageSource],
        max_fpr: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Verdict | list[Verdict]:
        """Predict a verdict for one image or for many.

        An image that cannot be read gets a verdict with its error, and the others are still scored.

        Args:
            images: One image (a path, the bytes of a file, or an opened PIL image), or an iterable of images.
            max_fpr: The highest false-positive rate on real images, in (0, 1), instead of the one that the model's
                own uncertain band keeps to; the band then ends at the threshold for it. Needs a calibrated model.
            batch_size: Images per forward pass.

        Returns:
            One verdict for one image; a list of verdicts, in order, for an iterable.

        Raises:
            UserError: If `max_fpr` is asked of a model that was not calibrated for it.
        """
        if isinstance(images, str | bytes | os.PathLike | Image.Image):
            return self([images], max_fpr, batch_size)[0]
        self.thresholds(max_fpr)  # refused before the first image is read
        items = list(images)
        verdicts: list[Verdict] = []
        step = self.at_once(batch_size)
        with workers(max(1, min(self.workers, len(items)))) as pool:
            for start in range(0, len(items), batch_size):
                decoded = list(pool.map(read_image, items[start : start + batch_size]))
                opened = [d.decoded.image for d in decoded if isinstance(d, ReadImage)]
                inputs = list(pool.map(self.process, ([image] for image in opened)))
                parts = (_stack(inputs[at : at + step]) for at in range(0, len(inputs), step))
                scores = (score for part in pool.map(self.predict, parts) for score in p_fake(part))
                verdicts += self._verdicts(decoded, scores, max_fpr)
        return verdicts

    def verdicts(self, images: Sequence[ReadImage | ImageError], max_fpr: float | None = None) -> list[Verdict]:
        """Predict verdicts for images that `read_image` read, in the calling thread alone.

        May be called from several threads.

        Args:
            images: Few enough for one forward pass; one that could not be read gets a verdict with its error.
            max_fpr: As of a call.

        Raises:
            UserError: If `max_fpr` is asked of a model that was not calibrated for it.
        """
        opened = [each.decoded.image for each in images if isinstance(each, ReadImage)]
        return self._verdicts(images, iter(self.scores(opened) if opened else ()), max_fpr)

    @property
    def own_rate(self) -> float | None:
        """The fraction of photographs that the model's own threshold for "fake" keeps to; None if it carries none."""
        return self.thresholds().max_fpr

    def thresholds(self, max_fpr: float | None = None) -> Thresholds:
        """Return the scores at which the verdict changes.

        Args:
            max_fpr: The highest false-positive rate on real images, in (0, 1); None for the model's own band.

        Raises:
            UserError: If `max_fpr` is out of range, or the model carries no threshold for it.
        """
        return choose(self.threshold, self.uncertain_band, self.fpr_thresholds, max_fpr, self.name)

    def fake_threshold(self, max_fpr: float | None) -> float:
        """Return the score from which an image is predicted fake, so that at most `max_fpr` of real images are.

        Args:
            max_fpr: In (0, 1); None for the upper end of the model's own band.

        Raises:
            UserError: If `max_fpr` is out of range, or the model carries no threshold for it.
        """
        return self.thresholds(max_fpr).fake_from

    def _verdicts(
        self, images: Sequence[ReadImage | ImageError], scores: Iterator[float], max_fpr: float | None
    ) -> list[Verdict]:
        """Return the verdict of each image, given the scores of those that were read."""
        thresholds = self.thresholds(max_fpr)
        return [
            self._verdict(each, float(next(scores)), thresholds)
            if isinstance(each, ReadImage)
            else Verdict(None, None, error=str(each))
            for each in images
        ]

    def _verdict(self, read: ReadImage, score: float, thresholds: Thresholds) -> Verdict:
        image = read.decoded
        facts = {"format": image.format, "width": image.width, "height": image.height}
        named = {"camera": image.camera, "software": image.software}
        provenance = facts | {key: value for key, value in named.items() if value} | asdict(read.stated)
        if not np.isfinite(score):
            error = "the model's score is not a number"
            return Verdict(None, None, "", read.warnings, provenance, None, image.notes, error)
        word = thresholds.verdict(score)
        sentence, conflict = verdict_sentence(score, thresholds), disagreement(word, read.stated)
        return Verdict(word, score, sentence, read.warnings, provenance, conflict, image.notes)


def p_fake(probabilities: np.ndarray) -> np.ndarray:
    """Sum every class but "real": exact near 0, where one minus P(real) is not.

    Args:
        probabilities: Of shape `(count, classes)`, "real" first.

    Returns:
        P(fake) in [0, 1], of shape `(count,)`.
    """
    return probabilities[:, 1:].sum(axis=1)


def load_detector(
    model: str | Path | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    label_map: str | Mapping[str, Any] | None = None,
    real_label: str | None = None,
    rules: LabelRules | None = None,
) -> Detector:
    """Load a detector from this package, a folder or a Hub repo.

    Models of ours run the code installed here. Weights are read from safetensors alone; a folder that
    `fakelens export` wrote holds ONNX instead, which onnxruntime runs.

    Args:
        model: `patch_lens`, a folder, an ONNX file in one (`DIR/model_int8.onnx`), or `USER/NAME` on the Hub;
            defaults to `$FAKELENS_MODEL`, then to `patch_lens`, whose weights are in this package.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, ...; the fastest one present if None.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.
        label_map: What its classes mean, where their names do not say: `real=LABEL_0,fake=LABEL_1`, or a mapping of
            `real`, `fake` and `skip` to names. A CLIP without classes takes texts: `real=a photograph,fake=...`.
        real_label: The class of real images; all others are fake.
        rules: Both, read already; in their place.

    Returns:
        The detector: called with one image it answers one verdict, called with many a list of them.

    Raises:
        UserError: If there is no such model, it has no safetensors or ONNX or no processor, its classes are not
            understood, or it cannot run on the device.

    Examples:
        >>> from fakelens import load_detector
        >>> detector = load_detector("patch_lens", device="cpu")
        >>> verdict = detector("photo.jpg")
        >>> 0 <= verdict.score <= 1
        True
    """
    name = model_name(model or os.environ.get("FAKELENS_MODEL") or DEFAULT_MODEL)
    rules = rules or LabelRules.parse(label_map, real_label)
    network, processor = load_network(name, device, trust_remote_code, rules)
    # onnxruntime may lack the device that is the fastest for torch.
    device = network.device if isinstance(network, OnnxModel) else device
    return Detector(network, processor, name, device, rules)


def _channels_last(pixels: torch.Tensor) -> torch.Tensor:
    """Return images, or crops of images, with their values in the order in which CPUs convolve faster."""
    if pixels.ndim not in (4, 5):
        return pixels
    # Crops are scored as one long batch: of that, the channels come last.
    flat = pixels.flatten(0, -4).contiguous(memory_format=torch.channels_last)
    return flat.unflatten(0, pixels.shape[:-3])


def _stack(inputs: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}


def _fastest_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
