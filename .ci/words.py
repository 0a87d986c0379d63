"""Find words that the project gave up for the field's own, with file and line; `make quality` runs it.

The comments beside the allowed lines say why each of them is there.
"""

import re
import subprocess
import sys
from pathlib import Path

LEFT_OUT = ("benchmarks/flagship_history.md", "LICENSE", ".ci/words.py")
KINDS = (".py", ".md", ".js", ".html", ".css", ".yaml", ".yml", ".toml", ".ipynb", ".cff", "Makefile")

GIVEN_UP = {
    r"picture": "image",
    r"(?<![a-z])(?:mis)?judg(?:e|ed|es|ing)(?![a-z])": "score, predict, evaluate",
    r"(?<![a-z])reals(?![a-z])": "real images",
    r"(?<![a-z])piles?(?![a-z])(?! up)": "unsplit folder",
    r"\bplaces\b(?<!people and places)": "patches, positions",
    r"\b(?:every|each|small) place\b": "patch",
    r"grey.levels?": "intensity levels",
    r"[\"'.]evidence\b|\bevidence [=:]": "patch weight, heat map",
    r"\bshares? of\b|\b(?:a|each|every|this) share\b|_shares?\b|[\"'`.]shares?[\"'`]": "fraction, rate, weight",
    r"\bcalled (?:fake|real)\b|\bcall\w* .{0,30} (?:fake|real)\b": "predicted fake, false positives",
    r"\bfakes? found\b|\bfakes passed\b": "recall, true positives",
    r"\bon a processor\b|\bof a processor\b(?=,)|\bprocessor's cores\b": "CPU",
    r"\baims\b": "targets",
    r"\bwalk(?:s|ed|ing)?\b": "run, with its subfolders",
    r"\b(?:journal|memo|in_short|written_whole)\b": "cache, summary_text, atomic_directory",
}

ALLOWED = (
    ("CHANGELOG.md", r"^\| `"),  # the table of old and new keys
    ("modeling/fakelens/hub/facts/report.py", r'^    "\w+": "\w+",$'),  # keys of the schema before
    ("modeling/fakelens/training/recipe/keys.py", r"share"),  # keys of older recipes
    ("modeling/fakelens/training/data/progress.py", r'"places"'),  # the key in older checkpoints
    ("modeling/fakelens/evaluation/ablation/ablation.py", r'"judging"'),  # the key in older records
    ("modeling/fakelens/models/modeling_patch_lens.py", r'pop\("evidence"'),  # the key in older configs
    ("modeling/fakelens/cli/verbs/data/prepare.py", r'"--shares"'),  # the option's name before
    ("modeling/fakelens/data/aligned/small_collection.py", r"/training pictures"),  # a seed: new words, other weights
    ("modeling/fakelens/data/sources/columns.py", r'"picture"'),  # a column's name in published data sets
    ("modeling/fakelens/data/sources/vocabulary.py", r'"real reals'),  # class names of published data sets
    ("README.md", r"\*Judge\*"),  # a page of the Space
    # What tests that old keys are read, Python's own walk, and a page of the Space.
    (
        "tests/",
        r"\.walk\(|pages/judge|before$|_share|share: \[|[\"'.]share\b|\"(?:judg\w+|evidence|places|reals_\w+)\"",
    ),
    ("modeling/fakelens/hub/facts/checkpoint.py", r"ast\.walk"),  # Python's
    (".ci/size.py", r"ast\.walk"),  # likewise
    ("space/browser/", r"PLACES|binary places|let places|\bplaces(?:\+\+|;| <)"),  # of a number
)


def findings(path: str) -> list[str]:
    """Return a line for each given-up word in a file."""
    found = []
    allowed = [pattern for start, pattern in ALLOWED if path.startswith(start)]
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if any(re.search(pattern, line) for pattern in allowed):
            continue
        for word, instead in GIVEN_UP.items():
            if match := re.search(word, line, re.IGNORECASE):
                found.append(f"{path}:{number}: {match[0]!r}: say {instead}")
    return found


def main() -> int:
    """Check every tracked file; return 1 if a given-up word stands anywhere."""
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    chosen = [path for path in tracked if path.endswith(KINDS) and not path.startswith(LEFT_OUT)]
    found = [line for path in chosen if Path(path).is_file() for line in findings(path)]
    print("\n".join(found) or f"{len(chosen)} files hold none of the given-up words")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
