"""The last look at what is about to be published: known kinds of files alone, not too large, nothing private in them.

Whatever is pushed stays in the repo's history. A secret or a path of this machine is refused by file and line; a
secret is never repeated in the message.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open

from fakelens.errors import UserError
from fakelens.hub.facts.results import PREFIX

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
CARD = "README.md"
WEIGHTS = r"model(?:-\d{5}-of-\d{5})?\.safetensors"
WEIGHTS_INDEX = r"model\.safetensors\.index\.json"
RESULTS = rf"{re.escape(PREFIX)}{_NAME}\.yaml"
PLOTS = rf"plots/{_NAME}\.png"
EXAMPLES = rf"examples/{_NAME}\.(?:jpe?g|png|webp)"
# Kinds of files -> the most bytes that one may have. Nothing else is ever sent.
LIMITS = {
    re.escape(CARD): 1_000_000,
    r"config\.json": 1_000_000,
    r"preprocessor_config\.json": 1_000_000,
    WEIGHTS: 50_000_000_000,  # the Hub's own
    WEIGHTS_INDEX: 20_000_000,
    r"[A-Za-z_]\w*\.py": 100_000,  # somebody has to read it before trusting it
    RESULTS: 100_000,
    PLOTS: 2_000_000,
    EXAMPLES: 200_000,
}
ALLOWED = re.compile("|".join(LIMITS))
# Left over from an earlier push, these would be loaded or read beside the new ones.
REPLACED = re.compile(f"{WEIGHTS}|{WEIGHTS_INDEX}|{RESULTS}|{PLOTS}")

_TEXT = (".css", ".js", ".json", ".md", ".py", ".txt", ".yaml")
# What secrets look like, by the names of their kinds.
SECRETS = {
    "a Hugging Face token": r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{22,}",
    "a GitLab token": r"\bglpat-[\w-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[\w-]{10,}",
    "an API key": r"\bsk-[\w-]{20,}|\bAIza[\w-]{35}",  # OpenAI, Anthropic; Google
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a password in an address": r"://[^\s/:@]+:[^\s/:@]+@",
    "a key or password": (
        r"(?i)\b\w*(?:api_?key|access_?key|secret_?key|client_?secret|auth_?token|access_?token|passw(?:or)?d)"
        r"[\"']?\s*[:=]\s*[\"']?[\w+/.-]{8,}"
    ),
}
# Folders of a machine, not the paths of addresses, repos or ratios.
PATHS = re.compile(
    r"(?<![\w.:/~-])(?:~|/(?:home|Users|root|tmp|var|mnt|media|Volumes|data|datasets|opt|srv|scratch|workspace|content|work))"
    r"(?:/[\w.-]+)+|(?<!\w)[A-Za-z]:\\{1,2}\w[\w .-]*|(?<!\w)[A-Z]:/\w"
)


def check_files(files: Mapping[str, bytes | Path], limits: Mapping[str, int] = LIMITS) -> None:
    """Check all that is about to be published.

    Args:
        files: Contents, or the files that hold them, by their path in the repo.
        limits: Kinds of files, as patterns of their paths, and the most bytes that one may have.

    Raises:
        UserError: For a file of no known kind, one that is too large, a secret, or an absolute path.
    """
    for name, content in files.items():
        limit = next((most for kind, most in limits.items() if re.fullmatch(kind, name)), None)
        if limit is None:
            raise UserError(
                f"{name} is not among the files that are published: weights, settings, code, card, results, plots and "
                "example images. Rename it or take it out."
            )
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if size > limit:
            raise UserError(f"{name} has {size:,} bytes; at most {limit:,} are published. Make it smaller.")
        for location, line in _lines(name, content):
            check_line(location, line)


def _lines(name: str, content: bytes | Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text file, or what a weights file says of itself, with words for where they stand."""
    if isinstance(content, Path) and name.endswith(".safetensors"):
        with safe_open(content, framework="np") as weights:
            yield f"The header of {name}", json.dumps(weights.metadata() or {}, ensure_ascii=False)
    elif name.endswith(_TEXT):
        data = content if isinstance(content, bytes) else content.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{name} is no UTF-8 text ({error}). Save it as UTF-8.") from None
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{name}, line {number}", line


def check_line(location: str, line: str) -> None:
    """Check one line of what is about to be published.

    Args:
        location: Where it stands, in words.
        line: Its text.

    Raises:
        UserError: If it holds a secret or an absolute path.
    """
    for kind, pattern in SECRETS.items():
        if re.search(pattern, line):
            raise UserError(
                f"{location} holds {kind}. Take it out of where it comes from (the model's folder, its recipe, the "
                "report or the data), and revoke it if anybody else has seen it; nothing was published."
            )
    if match := PATHS.search(line):
        raise UserError(
            f"{location} holds a path of this machine, {match[0]!r}. Take it out of where it comes from (the model's "
            "folder, its recipe, the report or the data); nothing was published."
        )
