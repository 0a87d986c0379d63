"""The wheel also holds what lies beside the package in a checkout: recipes, card templates and the Space.

All else is said in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BESIDE = ("recipes", "model_cards", "space")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*")


class BuildWithResources(build_py):
    """The usual build, and `BESIDE` in `fakelens/resources`, where `fakelens.resources` looks first."""

    def run(self) -> None:
        """Build; an editable installation finds the folders where they are."""
        super().run()
        if not self.editable_mode:
            for name in BESIDE:
                target = Path(self.build_lib, "fakelens", "resources", name)
                shutil.copytree(name, target, ignore=LEFT_OUT, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithResources})
