"""The pages that are made from the code hold every verb, option, recipe key and network; MkDocs builds them all."""

import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from fakelens.cli.verbs import VERBS
from fakelens.data.transforms.augmentation import TRANSFORMS
from fakelens.data.transforms.degradations import DEGRADATIONS
from fakelens.training.attacks import AdversarialMix
from fakelens.training.recipe.phase import Phase
from fakelens.training.recipe.recipe import recipe_parser
from fakelens.zoo.registry import ARCHITECTURES
from tests.conftest import load_script
from tests.readme import ROOT, contents, options_of

reference = load_script("reference", ROOT / "docs")


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def verbs():
    return reference.verbs_page()


@pytest.fixture(scope="module")
def recipe():
    return reference.recipe_page()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_its_help_with_every_option(verb, verbs):
    shown = section(verbs, f"fakelens {verb}")
    assert reference.help_text(verb).strip() in shown and f"fakelens {verb}" in shown
    missing = {option for option in options_of(verb) if option not in shown}
    assert not missing
    assert f"[`{verb}`](#fakelens-{verb}) | {VERBS[verb].about} |" in verbs


def test_the_help_is_what_the_command_prints(verbs):
    command = [sys.executable, "-m", "fakelens", "audit", "--help"]
    wide = os.environ | {"COLUMNS": str(reference.WIDTH + 2)}
    said = subprocess.run(command, env=wide, capture_output=True, text=True, check=True).stdout
    assert said.strip() in verbs


def test_every_key_of_a_recipe_is_there_with_what_its_parser_says(recipe):
    before, _, after = recipe.partition("\n## Phases\n")
    keys = before + after.partition("\n## From transformers\n")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", keys.replace("\\", ""), flags=re.MULTILINE))
    known = [field for kind in recipe_parser().dataclass_types for field in fields(kind) if field.init]
    assert sorted(rows) == sorted(field.name for field in known)
    for field in known:
        said = field.metadata["help"].replace("`", "'").replace("%%", "%").split()
        assert said and " ".join(said[:8]) in rows[field.name], field.name


@pytest.mark.parametrize(("title", "kind"), [("Phases", Phase), ("Adversarial training", AdversarialMix)])
def test_every_key_of_a_phase_is_there_with_its_meaning(title, kind, recipe):
    shown = section(recipe, title)
    for field in fields(kind):
        assert re.search(rf"^\| `{field.name}` \|.*\| \S.+ \|$", shown, flags=re.MULTILINE), field.name


@pytest.mark.parametrize(("title", "names"), [("Augmentation", TRANSFORMS), ("Degradations", DEGRADATIONS)])
def test_every_step_is_there(title, names, recipe):
    shown = section(recipe, title)
    assert not [name for name in names if f"`{name}`" not in shown]


def test_every_network_is_there_with_its_parameters():
    page = reference.networks_page()
    assert all(f"\n| `{name}` | " in page for name in ARCHITECTURES) and "421,921" in page


@pytest.mark.slow
def test_mkdocs_builds_every_page(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {page.replace(".md", ".html") for page in contents()} <= made
    assert set(reference.PAGES) <= set(contents())
    assert not list((tmp_path / "site").rglob("*.py*"))
