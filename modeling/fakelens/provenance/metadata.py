"""What EXIF, XMP, IPTC and PNG text chunks state of an image's origin. Anyone can write or change all of them."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from defusedxml import ElementTree
from PIL import IptcImagePlugin, PngImagePlugin
from PIL.ExifTags import IFD, Base
from PIL.ImageFile import ImageFile

from fakelens.provenance.claims import Claim, clean, filled, named_by, source_type
from fakelens.provenance.prompts import settings_claim, texts_claims

MAX_PACKET = 2**20  # bytes of an XMP packet; a real one has some thousands
XMP_PROGRAMS = ("CreatorTool", "softwareAgent", "Credit")
IPTC_PROGRAMS = {(2, 65): "IPTC's originating program", (2, 110): "IPTC's credit line"}
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def exif_claims(image: ImageFile) -> list[Claim]:
    """Return what EXIF states: the camera and how it was set, the software, an image generator's settings.

    Where the image was taken is never read, only whether EXIF says so.

    Args:
        image: An opened file; its pixels are not needed.
    """
    exif = image.getexif()
    taken = exif.get_ifd(IFD.Exif)
    claims = []
    maker, model = exif.get(Base.Make), exif.get(Base.Model)
    # ComfyUI keeps its graph in WebP files under the tags of a camera.
    graphs = [text.split(":", 1)[1] for text in map(str, (maker, model)) if text.startswith(("workflow:", "prompt:"))]
    if graphs:
        claims.append(Claim("exif", "ai", "EXIF holds the settings of an image generator: ComfyUI."))
    elif clean(maker) or clean(model):
        camera = _camera(clean(maker), clean(model))
        detail = filled(
            camera=camera,
            software=exif.get(Base.Software),
            taken=taken.get(Base.DateTimeOriginal),
            exposure=_exposure(taken),
            position="stated" if exif.get_ifd(IFD.GPSInfo) else "not stated",
        )
        claims.append(Claim("exif", "camera", f"EXIF names a camera, {camera}; anyone can write EXIF.", detail))
    comment = settings_claim("exif", _user_comment(taken.get(Base.UserComment)))
    software = named_by("exif", "EXIF's software field", str(exif.get(Base.Software, "")))
    return claims + [claim for claim in (comment, software) if claim]


def xmp_claims(image: ImageFile) -> list[Claim]:
    """Return what the XMP packet states: IPTC's `DigitalSourceType`, and the programs that worked on the file.

    Args:
        image: An opened file; its pixels are not needed.

    Raises:
        ValueError: If the packet is larger than any real one, or asks for entities to be expanded.
        xml.etree.ElementTree.ParseError: If it is not XML.
    """
    packet = image.info.get("xmp")
    if not packet:
        return []
    if len(packet) > MAX_PACKET:
        raise ValueError(f"a packet of {len(packet) / 2**20:.1f} MiB, which is too large to be one")
    found: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(packet.rstrip(b"\x00 ")).iter():
        content = element.get(f"{RDF}resource") or element.text or ""
        for name, value in [(element.tag, content), *element.attrib.items()]:
            found.setdefault(name.rpartition("}")[2], []).append(value)
        # A list, such as the credit line in several languages, has its text in its items.
        found[element.tag.rpartition("}")[2]] += [item.text or "" for item in element.iter(f"{RDF}li")]
    claims = {}
    for value in found.get("DigitalSourceType", []):
        if known := source_type(value):
            says, words, name = known
            claims[name] = Claim("xmp", says, f"XMP states that {words}.", {"digital_source_type": name})
    for key in XMP_PROGRAMS:
        for value in found.get(key, []):
            if claim := named_by("xmp", f"XMP's {key}", value):
                claims.setdefault(claim.statement, claim)
    return list(claims.values())


def iptc_claims(image: ImageFile) -> list[Claim]:
    """Return what the older IPTC records state: the program that made the file, and the credit line.

    Args:
        image: An opened file; its pixels are not needed.
    """
    records = IptcImagePlugin.getiptcinfo(image) or {}
    claims = []
    for key, name in IPTC_PROGRAMS.items():
        value = records.get(key, b"")
        first = value[0] if isinstance(value, list) else value
        claims.append(named_by("iptc", name, first.decode("utf-8", errors="replace")))
    return [claim for claim in claims if claim]


def png_text_claims(image: ImageFile) -> list[Claim]:
    """Return what text chunks of a PNG state, as far as they stand before the pixels.

    Args:
        image: An opened file; its pixels are not needed.
    """
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return []
    texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    return texts_claims("png_text", texts)


def _camera(maker: str, model: str) -> str:
    return model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()


def _exposure(taken: Mapping[int, Any]) -> str:
    """Return exposure time, aperture, sensitivity and focal length as photographers write them."""
    seconds = _number(taken.get(Base.ExposureTime))
    time = f"1/{1 / seconds:.0f} s" if 0 < seconds < 0.4 else f"{seconds:g} s"
    speed = taken.get(Base.ISOSpeedRatings)
    aperture, length = _number(taken.get(Base.FNumber)), _number(taken.get(Base.FocalLength))
    parts = (seconds and time, aperture and f"f/{aperture:g}", speed and f"ISO {speed}", length and f"{length:g} mm")
    return ", ".join(str(part) for part in parts if part)


def _number(value: Any) -> float:
    """Return an EXIF number; 0 for one that is absent or has no value, such as 0/0."""
    try:
        return float(Fraction(str(value)) if isinstance(value, str) else value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0


def _user_comment(value: object) -> str:
    """Return EXIF's user comment as text; its first eight bytes name the encoding."""
    if not isinstance(value, bytes):
        return str(value or "")
    code, text = value[:8], value[8:]
    if code != b"UNICODE\x00":
        return (text if code in (b"ASCII\x00\x00\x00", bytes(8)) else value).decode("utf-8", errors="replace")
    # Neither byte order is prescribed. Of Latin letters, the upper bytes are zero.
    little = text[1::2].count(0) > text[::2].count(0)
    return text.decode("utf-16-le" if little else "utf-16-be", errors="replace")
