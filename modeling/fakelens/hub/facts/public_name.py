"""What a SOURCE string may be called in public: a Hub data set by its id, a local folder by its last name alone."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fakelens.data.sources.patterns import HUB_ID

SAMPLE = "sample"
OPENFAKE = "ComplexDataLab/OpenFake"


@dataclass(frozen=True)
class Origin:
    """Where data came from.

    Attributes:
        public: The SOURCE string to print: without the path to a local folder.
        hub_id: Of the Hub data set, "" for other data.
        config: The Hub data set's configuration, "" if none was named.
        revision: The Hub data set's revision, "" if none was named.
        is_sample: Whether it is the embedded demonstration sample.
    """

    public: str
    hub_id: str = ""
    config: str = ""
    revision: str = ""
    is_sample: bool = False


def origin_of(spec: str, revision: str | None = None) -> Origin:
    """Tell what a SOURCE string names, in the order that `fakelens.data.sources.opening` resolves it.

    Args:
        spec: The string.
        revision: What the record says of the data's revision: "" for local data; None if it says nothing, and whether
            a `folder/name` is one is seen by looking for it.
    """
    if spec == SAMPLE:
        return Origin(SAMPLE, is_sample=True)
    is_local = revision == "" or (revision is None and Path(spec).expanduser().exists())
    if HUB_ID.fullmatch(spec) and not is_local:
        name, _, stated = spec.partition("@")
        hub_id, _, config = name.partition(":")
        return Origin(spec, hub_id, config, revision or stated)
    return Origin(PurePath(spec).name or spec)


def without_paths(value: Any) -> Any:
    """Copy nested settings, with every path out of the working folder cut to its last name: homes stay private."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and value.startswith(("/", "~", "..")) and "\n" not in value:
        return PurePath(value).name
    return value
