"""What a file states of its own origin: evidence that stands beside a score and never enters it.

C2PA content credentials are signed; everything else (EXIF, XMP, IPTC, PNG text) can be written and changed by anyone.
"""

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from PIL import Image
from PIL.ImageFile import ImageFile

from fakelens.provenance.claims import Claim, clean
from fakelens.provenance.credentials import INVALID, NONE, VALID, read_credentials
from fakelens.provenance.metadata import exif_claims, iptc_claims, png_text_claims, xmp_claims

READERS: dict[str, Callable[[ImageFile], list[Claim]]] = {
    "EXIF": exif_claims,
    "XMP": xmp_claims,
    "IPTC": iptc_claims,
    "PNG text": png_text_claims,
}
# What Pillow and the parsers raise on data that breaks their format's rules.
BROKEN = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, SyntaxError, TypeError),
    *(ValueError, struct.error, ParseError, DefusedXmlException, Image.DecompressionBombError),
)


@dataclass(frozen=True)
class Provenance:
    """What a file states of its own origin.

    Attributes:
        claims: One for each statement.
        signature: The state of its C2PA signature: "valid", "untrusted signer" (it holds, but whose it is is
            unknown), "invalid", or "none".
        notes: What could not be read, and why.
    """

    claims: tuple[Claim, ...] = ()
    signature: str = NONE
    notes: tuple[str, ...] = ()

    def of(self, says: str) -> list[Claim]:
        """Return the claims that say one thing, those with the best signature first."""
        found = [claim for claim in self.claims if claim.says == says]
        return sorted(found, key=lambda claim: claim.kind != "c2pa")


def read_provenance(data: bytes, trust_anchors: str = "") -> Provenance:
    """Read what a file states of its own origin, without the network; whatever is in it, this raises nothing.

    Args:
        data: The file's bytes, hostile ones included.
        trust_anchors: Certificates of the authorities whose C2PA signers are trusted, as PEM.
    """
    signature = NONE
    claims: list[Claim] = []
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what could not be read is said in the notes
            with Image.open(io.BytesIO(data)) as image:
                media_type = "image/jpeg" if image.format == "MPO" else Image.MIME.get(image.format or "", "")
                try:
                    signature, claims, notes = read_credentials(data, media_type, trust_anchors)
                except BROKEN as error:
                    notes.append(f"C2PA content credentials could not be read: {_reason(error)}")
                for name, read in READERS.items():
                    try:
                        claims += read(image)
                    except BROKEN as error:
                        notes.append(f"{name} could not be read: {_reason(error)}")
    except BROKEN as error:
        notes.append(f"what the file states could not be read: {_reason(error)}")
    return Provenance(tuple(claims), signature, tuple(notes))


def disagreement(verdict: str | None, provenance: Provenance) -> str | None:
    """Say where a file states one thing and the detector another.

    Args:
        verdict: "real", "fake", "uncertain" or None, as in `Verdict`.
        provenance: What the file states.

    Returns:
        A sentence; None if they agree, or if one of them says nothing.
    """
    generated, camera = provenance.of("ai"), provenance.of("camera")
    if verdict == "real" and generated:
        return (
            f"The detector takes this for a photograph, but the file says otherwise: {generated[0].statement} "
            "Few would write that falsely: trust the detector less here."
        )
    if verdict != "fake" or not camera or generated:
        return None
    best = camera[0]
    if best.kind != "c2pa":
        return (
            f"The detector takes this for AI-generated, but the file says otherwise: {best.statement} "
            "That is weak evidence either way: it is easily forged, and most real photographs carry it."
        )
    if provenance.signature == INVALID:
        return None
    weight = (
        "That is stronger evidence than a detector's score."
        if provenance.signature == VALID
        else "Find out who signed it before you rely on either."
    )
    return f"The detector takes this for AI-generated, but the file says otherwise: {best.statement} {weight}"


def _reason(error: BaseException) -> str:
    return clean(error) or type(error).__name__
