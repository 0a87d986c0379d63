"""C2PA content credentials: a signed statement of an image's origin, read and checked without the network.

The format is the Coalition for Content Provenance and Authenticity's (https://spec.c2pa.org); its own library,
`c2pa-python`, reads it. A signature that holds shows that nothing was changed since a signer signed; who that signer
is, is known only where their certificate leads to one that we were told to trust.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

from fakelens.provenance.claims import Claim, clean, filled, program, source_type

MARK = b"c2pa"  # the label of every embedded manifest store
REMOTE_MARK = b"dcterms:provenance"  # XMP's pointer to a manifest kept elsewhere
INSTALL = 'reading them needs `pip install "fakelens[provenance]"`'

VALID, UNTRUSTED, INVALID, NONE = "valid", "untrusted signer", "invalid", "none"
STATES = {"Trusted": VALID, "Valid": UNTRUSTED, "Invalid": INVALID}
WORDS = {
    VALID: "signed, by a signer on the trust list",
    UNTRUSTED: "signed, by a signer on no trust list given here, so that anyone may have signed it",
    INVALID: "whose signature does not hold: the file was changed after it was signed, or wrongly signed",
}


def read_credentials(data: bytes, media_type: str, trust_anchors: str = "") -> tuple[str, list[Claim], list[str]]:
    """Read a file's C2PA manifests; none is fetched from elsewhere.

    Args:
        data: The file's bytes.
        media_type: Such as "image/jpeg".
        trust_anchors: Certificates of the authorities to trust, as PEM; with none, no signer is trusted.

    Returns:
        The signature's state ("valid", "untrusted signer", "invalid" or "none"), the claims, and notes.
    """
    if MARK not in data and REMOTE_MARK not in data:
        return NONE, [], []
    try:
        import c2pa  # a native library of some 50 MB, loaded for files that have a manifest alone
    except ImportError:
        return NONE, [], [f"the file seems to carry C2PA content credentials, which were not read: {INSTALL}"]
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}}
    if trust_anchors:
        settings["trust"] = {"trust_anchors": trust_anchors}
    try:
        context = c2pa.Context.from_dict(settings)
        with context, c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader:
            store, state = json.loads(reader.json()), STATES[reader.get_validation_state()]
    except c2pa.C2paError.ManifestNotFound:
        return NONE, [], []
    except c2pa.C2paError as error:
        if str(error).startswith("Remote"):
            return NONE, [], ["the file names C2PA content credentials kept elsewhere, and nothing is fetched"]
        return NONE, [], [f"C2PA content credentials could not be read: {clean(error)}"]
    return state, _claims(store, state), []


def _claims(store: dict[str, Any], state: str) -> list[Claim]:
    """Return one claim for each origin that the manifests state, or one that they state none."""
    manifests = store["manifests"]
    active = manifests[store["active_manifest"]]
    signature = active.get("signature_info", {})
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    problems = sorted({failure["code"] for failure in failures}) if state == INVALID else []
    who = filled(
        signature=state,
        signer=signature.get("issuer") or signature.get("common_name"),
        signed=signature.get("time"),
        claim_generator=_generator(active),
        problems=", ".join(problems),
    )
    claims: dict[str, Claim] = {}
    # An edited image's manifest brings those of its ingredients, which say how they came about.
    for manifest in manifests.values():
        for says, words, detail in _origins(manifest):
            statement = f"C2PA content credentials, {WORDS[state]}, state that {words}."
            claims.setdefault(words, Claim("c2pa", says, statement, who | detail))
    silent = f"C2PA content credentials, {WORDS[state]}, state nothing of the image's origin."
    return list(claims.values()) or [Claim("c2pa", "unknown", silent, who)]


def _origins(manifest: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield what a manifest's actions state: who says it was, in plain words, and details."""
    for assertion in manifest.get("assertions", []):
        if not assertion.get("label", "").startswith("c2pa.actions"):
            continue
        for action in assertion["data"].get("actions", []):
            agent = action.get("softwareAgent", "")
            agent = agent.get("name", "") if isinstance(agent, dict) else str(agent)
            known = source_type(str(action.get("digitalSourceType", "")))
            if known:
                says, words, name = known
                yield says, words, filled(digital_source_type=name, software=agent)
            elif action.get("action") == "c2pa.created" and (found := program(agent or _generator(manifest))):
                # Early credentials of some generators name themselves and no source type.
                says, name = found
                yield says, f"{name} made it", filled(software=agent)


def _generator(manifest: dict[str, Any]) -> str:
    infos = manifest.get("claim_generator_info") or [{}]
    return str(infos[0].get("name") or manifest.get("claim_generator") or "")
