"""The model inside this package -> a folder that can be published: with the code that loads it where fakelens is not.

In the package that code would stand there twice, so the shipped folder holds none.
"""

import shutil
from pathlib import Path

from fakelens.hub.facts.checkpoint import RUN
from fakelens.inference.loading import load_network
from fakelens.zoo.shipped import SHIPPED, SHIPPED_FOLDER


def with_code(work: Path) -> Path:
    """Write the shipped model to a folder as training leaves a model: weights, settings, record and code.

    Args:
        work: An existing folder, in which the model's own is made.

    Returns:
        The model's folder.

    Raises:
        UserError: If this copy of fakelens holds no model.
    """
    folder = work / SHIPPED
    network, processor = load_network(SHIPPED)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    if (SHIPPED_FOLDER / RUN).is_file():
        shutil.copyfile(SHIPPED_FOLDER / RUN, folder / RUN)
    return folder
