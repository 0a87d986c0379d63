"""Which detector is asked, and how many false alarms it may raise: a page's selects and what they stand for."""

from typing import Any

import gradio as gr
from server.uploads import refuse

from fakelens.errors import UserError
from fakelens.inference.detector import Detector

OWN = ""  # a select cannot hold None


def model_select(detectors: dict[str, Detector]) -> gr.Dropdown:
    """Return a select of the models, the first one chosen; not shown where there is only one.

    Args:
        detectors: By their names on the page; at least one.
    """
    names = list(detectors)
    return gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)


def rates(detector: Detector) -> list[tuple[str, float | str]]:
    """Return what a select of false-positive rates offers: the model's own first, then the others that it carries.

    Args:
        detector: A model; one that was not calibrated carries none.
    """
    default = detector.own_rate
    own = "not measured" if default is None else percent(default)
    others = [rate for rate in sorted(detector.fpr_thresholds) if rate != default]
    return [(f"{own} (default)", OWN), *((percent(rate), rate) for rate in others)]


def percent(rate: float) -> str:
    """Return a rate in [0, 1] for reading."""
    return f"{100 * rate:g} %"


def rate_select(detectors: dict[str, Detector], model: gr.Dropdown) -> gr.Dropdown:
    """Return a select of false-positive rates that follows the model's.

    Args:
        detectors: By their names on the page; at least one.
        model: The select of the models.
    """
    first = rates(next(iter(detectors.values())))
    select = gr.Dropdown(
        first,
        value=OWN,
        label="Allowed false alarms",
        info="How many of 100 photographs may be predicted fake by mistake",
        elem_classes="fl-rate",
    )
    model.change(
        lambda name: gr.Dropdown(rates(detectors[name]), value=OWN),
        model,
        select,
        api_visibility="private",
        show_progress="hidden",
    )
    return select


def chosen(detectors: dict[str, Detector], model: Any, max_fpr: Any) -> tuple[Detector, float | None]:
    """Return the detector and the rate that a caller named.

    Args:
        detectors: By their names on the page; at least one.
        model: What the caller sent: a name, or None or "" for the first.
        max_fpr: Likewise: a number in (0, 1) that the model carries, or `OWN` or None.

    Raises:
        gradio.Error: If there is no such model, or it carries no threshold for that rate.
    """
    name = model or next(iter(detectors))
    if not isinstance(name, str) or name not in detectors:
        raise refuse(f"There is no model {str(name)[:100]!r} here. There are: {', '.join(detectors)}.")
    max_fpr = None if max_fpr == OWN else max_fpr
    if max_fpr is not None and (isinstance(max_fpr, bool) or not isinstance(max_fpr, int | float)):
        raise refuse("A maximum false-positive rate is a number between 0 and 1, or nothing for the model's own.")
    try:
        detectors[name].fake_threshold(max_fpr)
    except UserError as error:
        raise refuse(str(error)) from None
    return detectors[name], max_fpr
