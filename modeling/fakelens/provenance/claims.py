"""One thing a file states of its own origin, and the words in which files state it."""

import re
from dataclasses import dataclass, field

PROMPT_LENGTH = 200  # characters of a prompt that are shown
SEARCHED = 20_000  # characters of a text that are searched: what names a program stands at its beginning


@dataclass(frozen=True)
class Claim:
    """What one part of a file states of the image's origin.

    Attributes:
        kind: Where it stands: "c2pa", "exif", "xmp", "iptc" or "png_text".
        says: "ai", "camera", "edited", or "unknown" where it is none of these.
        statement: The same in plain words.
        detail: What else stands there, by name; text from the file is shortened and without control characters.
    """

    kind: str
    says: str
    statement: str
    detail: dict[str, str] = field(default_factory=dict)


# IPTC's vocabulary, used by XMP and by C2PA: https://cv.iptc.org/newscodes/digitalsourcetype/
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": ("ai", "it was made by generative AI"),
    "compositeWithTrainedAlgorithmicMedia": ("ai", "parts of it were made by generative AI"),
    "compositeSynthetic": ("ai", "it was put together from parts, some of them made by generative AI"),
    "trainedAlgorithmicData": ("ai", "it was made by a trained model"),
    "digitalCapture": ("camera", "a digital camera took it"),
    "computationalCapture": ("camera", "a camera took it, putting together several exposures"),
    "compositeCapture": ("camera", "it was put together from images that cameras took"),
    "negativeFilm": ("camera", "it was scanned from a negative"),
    "positiveFilm": ("camera", "it was scanned from a slide"),
    "print": ("camera", "it was scanned from a print"),
    "humanEdits": ("edited", "a person edited it"),
    "minorHumanEdits": ("edited", "a person edited it slightly"),
    "algorithmicallyEnhanced": ("edited", "a program enhanced it"),
    "composite": ("edited", "it was put together from several images"),
    "algorithmicMedia": ("unknown", "a program without training data drew it"),
    "dataDrivenMedia": ("unknown", "a program drew it from data"),
    "digitalCreation": ("unknown", "a person made it with digital tools"),
    "digitalArt": ("unknown", "a person made it with digital tools"),
    "screenCapture": ("unknown", "it is a screenshot"),
    "virtualRecording": ("unknown", "it was recorded in a virtual scene"),
}

# How generators and editing programs call themselves in the fields that name a file's software or maker.
GENERATORS = {
    "Stable Diffusion": r"stable[ -]?diffusion|automatic1111",
    "ComfyUI": r"comfyui",
    "InvokeAI": r"invoke ?ai",
    "NovelAI": r"novelai",
    "Midjourney": r"midjourney",
    "Fooocus": r"fooocus",
    "SwarmUI": r"swarmui",
    "Draw Things": r"draw things",
    "DALL-E": r"dall[-· ]?e\b",
    "OpenAI": r"openai|chatgpt|gpt-image|gpt-4o",
    "Adobe Firefly": r"firefly",
    "Google AI": r"google (generative )?ai\b|google gemini|nano banana",
    "Bing Image Creator": r"bing image creator|microsoft designer",
    "Leonardo.Ai": r"leonardo\.ai",
    "Ideogram": r"ideogram",
    "Recraft": r"\brecraft",
    "Meta AI": r"\bmeta ai\b|imagined with ai",
    "FLUX": r"black forest labs|\bflux\.?[12]\b",
}
EDITORS = {
    "Photoshop": r"photoshop|adobe imageready",
    "Lightroom": r"lightroom",
    "Camera Raw": r"camera raw",
    "GIMP": r"\bgimp\b",
    "Affinity Photo": r"affinity",
    "Capture One": r"capture one",
    "darktable": r"darktable",
    "RawTherapee": r"rawtherapee",
    "Snapseed": r"snapseed",
    "Picsart": r"picsart",
    "Canva": r"\bcanva\b",
    "Paint.NET": r"paint\.net",
    "Pixelmator": r"pixelmator",
    "Photopea": r"photopea",
    "Facetune": r"facetune",
    "Luminar": r"luminar",
}


def source_type(value: str) -> tuple[str, str, str] | None:
    """Look up a `DigitalSourceType`.

    Args:
        value: An address of IPTC's vocabulary, or its last part alone.

    Returns:
        What it says, in plain words, and its short name; None if the vocabulary has no such entry.
    """
    name = clean(value).rstrip("/").rsplit("/", 1)[-1]
    return (*SOURCE_TYPES[name], name) if name in SOURCE_TYPES else None


def program(text: str) -> tuple[str, str] | None:
    """Find a generator's name in a text, or else an editing program's.

    Returns:
        "ai" or "edited", and the program's name; None if the text names none that is known.
    """
    for says, names in (("ai", GENERATORS), ("edited", EDITORS)):
        for name, pattern in names.items():
            if re.search(pattern, text[:SEARCHED], re.IGNORECASE):
                return says, name
    return None


def named_by(kind: str, field_name: str, text: str) -> Claim | None:
    """Return the claim that a field makes which names the program a file came from; None for a program unknown.

    Args:
        kind: As in `Claim`.
        field_name: What the field is called, for the statement.
        text: What stands in it.
    """
    found = program(text)
    if found is None:
        return None
    says, name = found
    did = "made it" if says == "ai" else "saved or edited it"
    return Claim(kind, says, f"{field_name} names {name}, so that program {did}.", {"program": clean(text)})


def clean(text: object, length: int = PROMPT_LENGTH) -> str:
    """Return text from a file as one short printable line: it may hold control codes that a terminal would obey.

    Args:
        text: Anything; cameras pad theirs with spaces and NULs.
        length: Characters kept; an ellipsis says that there were more.
    """
    start = str("" if text is None else text)[: 4 * length].split("\x00")[0]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def filled(**detail: object) -> dict[str, str]:
    """Return the details that are there, cleaned.

    Args:
        **detail: Values by name; empty ones are left out.
    """
    return {name: text for name, value in detail.items() if (text := clean(value))}
