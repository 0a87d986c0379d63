"""Label names: how any data set's own words become 0 (real) or 1 (fake). Never by class index.

`imagefolder` sorts class names, so that its 0 is "fake" in one data set and "camera" in the next; a name is the only
thing that means the same everywhere.
"""

from fakelens.errors import UserError

REAL, FAKE = 0, 1
ID2LABEL = {REAL: "real", FAKE: "fake"}

# The words that published data sets use, in lower case; `-`, `_` and spaces are the same.
_REAL_WORDS = "real|real images|authentic|natural|nature|camera|photo|photograph|human|genuine|original|0 real"
_FAKE_WORDS = "fake|fake images|ai|ai generated|ai images|aigc|artificial|synthetic|generated|gan|deepfake|1 fake"
SYNONYMS = {REAL: frozenset(_REAL_WORDS.split("|")), FAKE: frozenset(_FAKE_WORDS.split("|"))}


def find_label(name: object) -> int | None:
    """Return 0 for a name of real images, 1 for a name of fake ones, None for any other."""
    words = " ".join(str(name).lower().replace("_", " ").replace("-", " ").split())
    return next((label for label, names in SYNONYMS.items() if words in names), None)


def label_id(name: object) -> int:
    """Return 0 for a name of real images and 1 for a name of fake ones.

    Args:
        name: A class or folder name, in any case.

    Raises:
        UserError: If the name is neither; the message lists the names that are known.
    """
    label = find_label(name)
    if label is None:
        known = "; ".join(f"{ID2LABEL[i]}: {', '.join(sorted(names))}" for i, names in SYNONYMS.items())
        raise UserError(f"Label {name!r} is neither real nor fake. Rename it to one of these ({known}).")
    return label
