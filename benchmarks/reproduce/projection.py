"""What a network's full training would take on a GPU: projected from its operations and from measured loading."""

import io
import statistics
import time
from pathlib import Path

import skimage.data
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from fakelens.data.decode import decode_image
from fakelens.inference.detector import load_detector

IMAGES, EPOCHS = 27_485, 3  # of S0's training
VALIDATED = 6_871  # after every epoch
# GPU -> peak of 16-bit tensor operations a second (NVIDIA's data sheets), and what a rented machine with it commonly
# has and costs: CPUs, US dollars an hour.
GPUS = {"T4": (65e12, 4, 0.40), "L4": (121e12, 8, 0.80)}
REACHED = 0.1  # of the peak, by small convolutional networks; an assumption
SIDE = 1024  # pixels, of the JPEG that stands for one of OpenFake's
REPEATS = 8


def projected(model: Path) -> str:
    """Say how long S0's three epochs of a network would take on a T4 and an L4, and what they would cost.

    The longer of two: the network's operations at a tenth of the GPU's peak, and decoding and resizing on the
    machine's CPUs, which is measured here.

    Args:
        model: The network's folder.
    """
    detector = load_detector(model, device="cpu")
    file = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).resize((SIDE, SIDE)).save(file, "JPEG", quality=90)
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        inputs = detector.process([decode_image(file.getvalue()).image])
        times.append(time.process_time() - start)
    loading = statistics.median(times)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        detector.model(**inputs)
    forward = counter.get_total_flops()
    # A step is three forward passes.
    operations = EPOCHS * forward * (3 * IMAGES + VALIDATED)
    loaded = EPOCHS * (IMAGES + VALIDATED)
    said = []
    for name, (peak, cpus, price) in GPUS.items():
        seconds = max(operations / (peak * REACHED), loaded * loading / cpus)
        limit = "the network" if operations / (peak * REACHED) == seconds else "loading"
        said.append(f"{name}: {seconds / 60:.0f} minutes, ${seconds / 3600 * price:.2f}, limited by {limit}")
    return (
        f"Projected, not measured, for `{model.parent.name}` on OpenFake's {IMAGES:,} images, {EPOCHS} epochs: "
        f"{'; '.join(said)} ({forward / 1e9:.2f} GFLOP an image, {1000 * loading:.1f} ms of a core to load one)."
    )
