import io
import json
import random
import struct
import sys
import zlib
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from fakelens.provenance.claims import Claim
from fakelens.provenance.read import Provenance, disagreement, read_provenance
from tests.abuse import make_image

A1111 = (
    "a cat\nNegative prompt: dogs\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model hash: 6ce, Model: sd15"
)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" %s>%s'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def encoded(format="PNG", texts=None, **options):
    file = io.BytesIO()
    if texts is not None:
        options["pnginfo"] = PngInfo()
        for key, value in texts.items():
            options["pnginfo"].add_itxt(key, value)
    make_image().save(file, format=format, **options)
    return file.getvalue()


def exif(camera=True, comment=None, **tags):
    data = Image.Exif()
    if camera:
        data[0x010F], data[0x0110] = "NIKON CORPORATION\x00", "NIKON D850"
        data.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:00", 0x829A: 0.005, 0x829D: 2.8, 0x8827: 100})
        data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    if comment is not None:
        data.get_ifd(0x8769)[0x9286] = comment
    data.update({int(tag[1:], 16): value for tag, value in tags.items()})
    return data


def png_with(*chunks):
    """A PNG with raw chunks before its pixels."""
    data = encoded()
    body = b"".join(
        struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks
    )
    return data[:33] + body + data[33:]


COMFYUI = json.dumps({"3": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux1-dev"}}})
INVOKEAI = json.dumps({"positive_prompt": "a cat", "model": {"name": "sdxl"}})
JOB = "a cat --v 6 Job ID: 12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(
    ("data", "kind", "says", "detail"),
    [
        (encoded(texts={"parameters": A1111}), "png_text", "ai", {"model": "sd15", "prompt": "a cat"}),
        (encoded(texts={"prompt": COMFYUI}), "png_text", "ai", {"generator": "ComfyUI", "model": "flux1-dev"}),
        (encoded(texts={"workflow": '{"nodes": []}'}), "png_text", "ai", {"generator": "ComfyUI"}),
        (encoded(texts={"invokeai_metadata": INVOKEAI}), "png_text", "ai", {"generator": "InvokeAI", "model": "sdxl"}),
        (encoded(texts={"Software": "NovelAI", "Description": "a cat"}), "png_text", "ai", {"prompt": "a cat"}),
        (encoded(texts={"Description": JOB}), "png_text", "ai", {"generator": "Midjourney", "prompt": "a cat --v 6"}),
        (encoded(texts={"parameters": '{"sui_image_params": {"model": "m"}}'}), "png_text", "ai", {"model": "m"}),
        (
            encoded(texts={"parameters": '{"prompt": "x", "base_model": "j"}'}),
            "png_text",
            "ai",
            {"generator": "Fooocus"},
        ),
        (encoded(texts={"Software": "DALL-E 3"}), "png_text", "ai", {"program": "DALL-E 3"}),
        (encoded(texts={"Software": "Adobe Photoshop 25.0"}), "png_text", "edited", {}),
        (
            encoded("JPEG", exif=exif()),
            "exif",
            "camera",
            {"camera": "NIKON CORPORATION NIKON D850", "exposure": "1/200 s, f/2.8, ISO 100", "position": "stated"},
        ),
        (encoded("JPEG", exif=exif(False, b"UNICODE\0" + A1111.encode("utf-16-be"))), "exif", "ai", {"model": "sd15"}),
        (encoded("WEBP", exif=exif(False, b"UNICODE\0" + A1111.encode("utf-16-le"))), "exif", "ai", {"model": "sd15"}),
        (encoded("JPEG", exif=exif(False, b"ASCII\0\0\0" + A1111.encode())), "exif", "ai", {"model": "sd15"}),
        (encoded("WEBP", exif=exif(False, x0110=f"prompt:{COMFYUI}")), "exif", "ai", {}),
        (encoded("JPEG", exif=exif(False, x0131="GIMP 2.10")), "exif", "edited", {"program": "GIMP 2.10"}),
        (
            encoded(
                "JPEG", xmp=(XMP % (f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"', "")).encode()
            ),
            "xmp",
            "ai",
            {"digital_source_type": "trainedAlgorithmicMedia"},
        ),
        (
            encoded(
                "WEBP",
                xmp=XMP % ("", f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{IPTC}digitalCapture"/>'),
            ),
            "xmp",
            "camera",
            {"digital_source_type": "digitalCapture"},
        ),
        (
            encoded(
                texts={"XML:com.adobe.xmp": XMP % ("", "<photoshop:Credit>Made with Google AI</photoshop:Credit>")}
            ),
            "xmp",
            "ai",
            {"program": "Made with Google AI"},
        ),
    ],
)
def test_what_a_file_states_is_said(data, kind, says, detail):
    provenance = read_provenance(data)
    claim = next(claim for claim in provenance.claims if claim.kind == kind)
    assert claim.says == says and detail.items() <= claim.detail.items()
    assert len(provenance.claims) == 1 and provenance.notes == () and provenance.signature == "none"
    assert "52" not in json.dumps(asdict(provenance)) and json.dumps(asdict(provenance))  # where it was is kept out


def test_iptc_records_and_plain_files():
    record = b"\x1c\x02\x41\x00\x0aMidjourney\x1c\x02\x05\x00\x01a"
    photoshop = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(record)) + record
    app13 = b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop
    data = encoded("JPEG")
    assert IptcImagePlugin.getiptcinfo(Image.open(io.BytesIO(data[:2] + app13 + data[2:])))
    (claim,) = read_provenance(data[:2] + app13 + data[2:]).claims
    assert (claim.kind, claim.says) == ("iptc", "ai")
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        assert read_provenance(encoded(format)) == Provenance()
    assert read_provenance(encoded(texts={"Comment": "how DALL-E works", "prompt": "not JSON"})).claims == ()


BOMB = b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;&a;">]><b>&c;</b>'


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (png_with((b"zTXt", b"parameters\0\0" + zlib.compress(bytes(50 * 2**20)))), "could not be read"),
        (png_with((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + BOMB)), "XMP could not be read"),
        (png_with((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" * 10_000)), "XMP could not be read"),
        (png_with((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" + b" " * 2**21 + b"</a>")), "too large"),
        (encoded(texts={"prompt": "{" * 50_000}), "PNG text could not be read"),
        (encoded(texts={"prompt": '{"a":' * 50_000}), "PNG text could not be read"),
        (encoded(texts={"invokeai_metadata": "[1]"}), "PNG text could not be read"),
        (b"no image", "could not be read"),
        (b"", "could not be read"),
        (encoded(texts={"parameters": "\x1b[31mred" + "x" * 10**6 + "\nSteps: 1, Seed: 2"}), None),
        (png_with((b"tEXt", b"parameters\0\xff\xfe\xfd Steps: 1, Seed: 1")), None),
        (png_with((b"caBX", b"\0\0\0\x20jumbc2pa, but damaged")), None),
    ],
)
def test_hostile_metadata_is_a_note(data, note):
    provenance = read_provenance(data)
    assert (note is None) or any(note in n for n in provenance.notes), provenance
    text = json.dumps(asdict(provenance), ensure_ascii=False)
    assert len(text) < 2000 and "\x1b" not in text and "\\u001b" not in text


def test_damaged_bytes_raise_nothing():
    rng = random.Random(0)
    full = [
        encoded("JPEG", exif=exif(True, b"UNICODE\0" + A1111.encode("utf-16-be")), xmp=(XMP % ("", "")).encode()),
        encoded("WEBP", exif=exif(), xmp=XMP % ("", "")),
        encoded(texts={"parameters": A1111, "XML:com.adobe.xmp": XMP % ("", "")}, exif=exif()),
        encoded("TIFF", exif=exif()),
    ]
    for data in full:
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                damaged[rng.randrange(len(data))] = rng.randrange(256)
            assert isinstance(read_provenance(bytes(damaged[: rng.randint(20, len(data))])), Provenance)
            assert isinstance(read_provenance(bytes(damaged)), Provenance)


@pytest.fixture(scope="module")
def authority():
    """A signer of C2PA manifests, and the certificate of the authority behind them."""
    c2pa = pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def certificate(name, key, issuer, issuer_key, is_authority):
        now = datetime.now(UTC)
        a = is_authority
        subject, by = (x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, n)]) for n in (name, issuer))
        builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
        for extension, critical in [
            (x509.BasicConstraints(a, None), True),
            (x509.KeyUsage(not a, False, False, False, False, a, a, False, False), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        ] + ([] if a else [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)]):
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(issuer_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    anchor = certificate("Test Authority", root, "Test Authority", root, True)
    chain = certificate("Test Camera", leaf, "Test Authority", root, False) + anchor
    private = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def sign(source_type, remote=None, **action):
        action |= {"action": "c2pa.created"} | ({"digitalSourceType": IPTC + source_type} if source_type else {})
        # The format's first version, which many files are in, asks for no source type.
        version, label = (2, "c2pa.actions.v2") if source_type else (1, "c2pa.actions")
        manifest = {
            "claim_version": version,
            "claim_generator_info": [{"name": "Test", "version": "1"}],
            "assertions": [{"label": label, "data": {"actions": [action]}}],
        }
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, private, None))
        context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        output = io.BytesIO()
        with c2pa.Builder(manifest, context=context) as builder:
            if remote:
                builder.set_no_embed()
                builder.set_remote_url(remote)
            builder.sign(signer, "image/jpeg", io.BytesIO(encoded("JPEG")), output)
        return output.getvalue()

    return sign, anchor.decode()


def test_content_credentials_come_with_the_state_of_their_signature(authority):
    sign, anchor = authority
    data = sign("trainedAlgorithmicMedia", softwareAgent={"name": "Model 5"})
    unknown, trusted = read_provenance(data), read_provenance(data, anchor)
    assert (unknown.signature, trusted.signature) == ("untrusted signer", "valid")
    (claim,) = trusted.claims
    assert (claim.kind, claim.says) == ("c2pa", "ai") and "generative AI" in claim.statement
    assert {"signer": "Test Camera", "software": "Model 5", "signature": "valid"}.items() <= claim.detail.items()

    changed = bytearray(data)
    changed[-30] ^= 0xFF
    broken = read_provenance(bytes(changed), anchor)
    assert broken.signature == "invalid" and "does not hold" in broken.claims[0].statement
    assert "assertion.dataHash.mismatch" in broken.claims[0].detail["problems"]

    # Generators that name themselves alone, and credentials that say nothing of the origin.
    (named,) = read_provenance(sign(None, softwareAgent="Bing Image Creator")).claims
    (silent,) = read_provenance(sign(None)).claims
    assert named.says == "ai" and "Bing Image Creator" in named.statement
    assert silent.says == "unknown" and "nothing" in silent.statement


def test_no_remote_manifest_is_fetched_and_a_missing_library_is_a_note(authority, monkeypatch):
    sign, _ = authority
    remote = read_provenance(sign("digitalCapture", remote="http://127.0.0.1:9/manifest.c2pa"))
    assert remote.signature == "none" and "nothing is fetched" in remote.notes[0]
    data = sign("digitalCapture")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    missing = read_provenance(data)
    assert missing.signature == "none" and "fakelens[provenance]" in missing.notes[0]
    assert read_provenance(encoded("JPEG")).notes == ()  # of files without credentials there is nothing to say


def test_disagreements_are_weighed_by_who_can_forge_the_statement(authority):
    sign, anchor = authority
    data = sign("digitalCapture")
    for trust, word in [(anchor, "stronger evidence"), ("", "Find out who signed")]:
        assert word in disagreement("fake", read_provenance(data, trust))
    changed = bytearray(data)
    changed[-30] ^= 0xFF
    assert disagreement("fake", read_provenance(bytes(changed), anchor)) is None

    camera, generated = (
        read_provenance(encoded("JPEG", exif=exif())),
        read_provenance(encoded(texts={"prompt": COMFYUI})),
    )
    assert "easily forged" in disagreement("fake", camera) and "NIKON" in disagreement("fake", camera)
    assert "ComfyUI" in disagreement("real", generated)
    both = Provenance(camera.claims + (Claim("xmp", "ai", "XMP states so."),))
    for verdict, provenance in [("real", camera), ("fake", generated), ("fake", both), ("uncertain", camera)]:
        assert disagreement(verdict, provenance) is None
    assert disagreement(None, generated) is None and disagreement("fake", Provenance()) is None
