"""`import fakelens` makes transformers know fakelens's networks, without itself importing transformers.

That takes seconds, and `fakelens --help` does without. So the networks are registered when transformers' own table of
image classifiers has been loaded, which `pipeline` and every Auto class do before they look a network up.
"""

import importlib.util
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

TABLE = "transformers.models.auto.modeling_auto"


def register_when_needed() -> None:
    """Register now where transformers' table is loaded already, else as soon as it is."""
    if TABLE in sys.modules:
        _register()
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def _register() -> None:
    import_module("fakelens.models")  # its import registers


class _Watch(MetaPathFinder):
    """Wait for the table to be imported, once."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the table as ever, to be followed by the registration; of other modules nothing."""
        if fullname != TABLE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader)
        return spec


class _ThenRegister(Loader):
    """Load the table as ever, and register."""

    def __init__(self, own: Loader):
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the table's own loader."""
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load, and register."""
        self.own.exec_module(module)
        _register()
