"""What people wrote into a published card, carried over into the card that replaces it.

Kept are: what stands between the two `yours` marks, sections whose heading (`#`, `##`) the new card lacks, tags, and
entries of the front matter that fakelens does not write. A card without marks was written by somebody else: all of it
goes between the new card's marks.
"""

import re
from typing import Any

import yaml
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import yaml_dump
from markdown_it import MarkdownIt

from fakelens.errors import UserError

# The marks, as the template has them.
BEGIN = re.compile(r"^<!-- yours\b.*-->$", flags=re.MULTILINE)
END = re.compile(r"^<!-- end of yours -->$", flags=re.MULTILINE)
# What fakelens writes into the front matter: an entry of these that a new card lacks has gone out of date.
OURS = frozenset(
    {"license", "license_name", "library_name", "pipeline_tag", "datasets", "metrics", "tags", "widget", "model-index"}
)
SAMPLE_IMAGES = "examples/sample-"  # images that stand in where nobody gave any


def carry_over(new: str, old: bytes, repo_id: str) -> tuple[str, bool]:
    """Return the new card with what people wrote into the old one, and whether it shows the old example images.

    Args:
        new: A card that `fakelens.hub.card.card` rendered.
        old: The published `README.md`.
        repo_id: Whose card it is, for messages.

    Raises:
        UserError: If the old card's text, front matter or marks cannot be read, so that something would be lost.
    """
    way_out = f"Mend README.md of {repo_id} and publish again; nothing was pushed."
    try:
        text = old.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UserError(f"The published card is no UTF-8 text ({error}). {way_out}") from None
    metadata, body = _split(text, way_out)
    new_metadata, new_body = _split(new, way_out)
    new_front = new.removesuffix(new_body)
    yours, rest = _cut_out_yours(body, way_out)
    sections = _sections(rest)
    if yours is None:
        yours, sections = "\n\n".join(content for _, content in sections).strip(), []
    known = {heading for heading, _ in _sections(new_body)}
    kept = [content for heading, content in sections if heading not in known]
    begin, end = BEGIN.search(new_body), END.search(new_body)
    if yours and begin and end:
        new_body = f"{new_body[: begin.end()]}\n\n{yours}\n\n{new_body[end.start() :]}"
    for content in kept:
        new_body = f"{new_body.rstrip()}\n\n{content}\n"
    # Images of the sample never take the place of others.
    keeps_images = bool(metadata.get("widget")) and (
        not new_metadata.get("widget") or (_is_sample(new_metadata) and not _is_sample(metadata))
    )
    merged = new_metadata | {key: value for key, value in metadata.items() if key not in OURS}
    if isinstance(tags := metadata.get("tags"), list):
        merged["tags"] = [*new_metadata["tags"], *(tag for tag in tags if tag not in new_metadata["tags"])]
    if keeps_images:
        merged["widget"] = metadata["widget"]
    # What says the same is left as it is written, so that the same card again is no change.
    if merged == metadata:
        front = text.removesuffix(body)
    elif merged == new_metadata:
        front = new_front
    else:
        front = f"---\n{yaml_dump(merged).strip()}\n---\n"
    return front + new_body, keeps_images


def _split(card: str, way_out: str) -> tuple[dict[str, Any], str]:
    """Return a card's front matter and what follows it."""
    match = REGEX_YAML_BLOCK.search(card)
    if not match:
        if card.lstrip().startswith("---\n"):
            raise UserError(f"The published card's front matter has no end (a line of ---). {way_out}")
        return {}, card
    try:
        metadata = yaml.safe_load(match[2]) or {}
    except yaml.YAMLError as error:
        raise UserError(
            f"The published card's front matter is no YAML: {' '.join(str(error).split())}. {way_out}"
        ) from None
    if not isinstance(metadata, dict):
        raise UserError(f"The published card's front matter is no mapping of names to values. {way_out}")
    return metadata, card[match.end() :]


def _is_sample(metadata: dict[str, Any]) -> bool:
    return all(
        isinstance(entry, dict) and str(entry.get("src")).startswith(SAMPLE_IMAGES)
        for entry in metadata.get("widget") or []
    )


def _cut_out_yours(body: str, way_out: str) -> tuple[str | None, str]:
    """Return what stands between the marks, None if there are none, and the body without it."""
    begins, ends = list(BEGIN.finditer(body)), list(END.finditer(body))
    if not begins and not ends:
        return None, body
    if len(begins) != 1 or len(ends) != 1 or begins[0].end() > ends[0].start():
        raise UserError(
            f"The published card's marks, <!-- yours ... --> and <!-- end of yours -->, are no pair. {way_out}"
        )
    return body[begins[0].end() : ends[0].start()].strip(), body[: begins[0].start()] + body[ends[0].end() :]


def _sections(body: str) -> list[tuple[str, str]]:
    """Cut a text at its headings of the first two levels, into headings and contents; the first has no heading.

    The card's title, a heading before any other text, belongs to the first and is left out of it.
    """
    lines = body.split("\n")
    headings: list[tuple[str, str, int, int]] = []  # level, title in lower case, first line, first line after it
    tokens = MarkdownIt().parse(body)
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2") and token.map:
            headings.append((token.tag, " ".join(inline.content.split()).casefold(), token.map[0], token.map[1]))
    start = 0
    if headings and headings[0][0] == "h1" and not "".join(lines[: headings[0][2]]).strip():
        start = headings.pop(0)[3]
    ends = [heading[2] for heading in headings] + [len(lines)]
    found = [("", "\n".join(lines[start : ends[0]]).strip())]
    for (_, title, first, _), end in zip(headings, ends[1:], strict=True):
        found.append((title, "\n".join(lines[first:end]).strip()))
    return found
