"""Make the files that the Space offers to try it with: space/examples.

    python space/make_examples.py

Needs scikit-image, c2pa-python and cryptography; takes about a minute. The photograph is scikit-image's "chelsea"
(Stefan van der Walt, CC0), the portrait its "astronaut" (NASA, public domain), the signed one its "coffee" (Rachel
Michetti, CC0). One small autoencoder, trained here on photographs of scikit-image's, draws both anew. Photographs,
size and autoencoder are such that each file gets another verdict. The signature comes from a certificate that is made
here and thrown away: it holds, and nobody has reason to trust its signer, which is what most such files look like.
"""

import io
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
import skimage.data
import torch
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from fakelens.data.aligned.autoencoders import Autoencoder
from fakelens.data.aligned.small_autoencoders import KINDS, MULTIPLE, as_autoencoder, train_autoencoder

FOLDER = Path(__file__).parent / "examples"
KIND, STEPS, SEED = "small-1-transposed4", 120, 0
SMALLER = 0.5  # of the sides of scikit-image's photographs
MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
VALID = datetime(2026, 1, 1, tzinfo=UTC), datetime(2066, 1, 1, tzinfo=UTC)


def main() -> None:
    """Write the three files."""
    torch.set_num_threads(1)  # the same weights each time
    photographs = [getattr(skimage.data, name)() for name in ("chelsea", "coffee", "astronaut", "rocket")]
    autoencoder = as_autoencoder(train_autoencoder(KINDS[KIND], photographs, STEPS, SEED, "cpu"))
    FOLDER.mkdir(exist_ok=True)
    photograph = smaller(photographs[0])
    photograph.save(FOLDER / "photograph.png", optimize=True)
    reconstruction(smaller(photographs[2]), autoencoder).save(FOLDER / "reconstruction.png", optimize=True)
    file = io.BytesIO()
    reconstruction(smaller(photographs[1]), autoencoder).save(file, format="JPEG", quality=92)
    (FOLDER / "credentials.jpg").write_bytes(signed(file.getvalue()))


def smaller(photograph: np.ndarray) -> Image.Image:
    """Return a photograph with smaller sides, cut to what the autoencoder takes.

    Args:
        photograph: Of shape `(height, width, 3)`, in bytes.
    """
    image = Image.fromarray(photograph)
    image = image.resize((round(image.width * SMALLER), round(image.height * SMALLER)), Image.Resampling.BICUBIC)
    return image.crop((0, 0, image.width // MULTIPLE * MULTIPLE, image.height // MULTIPLE * MULTIPLE))


def reconstruction(image: Image.Image, autoencoder: Autoencoder) -> Image.Image:
    """Return an image as an autoencoder draws it anew.

    Args:
        image: RGB, with sides that the autoencoder takes.
        autoencoder: A trained one.
    """
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    drawn = autoencoder.round_trip(pixels)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return Image.fromarray((drawn * 255).round().astype(np.uint8))


def signed(jpeg: bytes) -> bytes:
    """Return a JPEG file with content credentials which state that a model made it.

    Args:
        jpeg: The file's bytes.
    """
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, signer = "fakelens example authority", "fakelens example"
    chain = certificate(signer, leaf, authority, root) + certificate(authority, root, authority, root)
    private = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    action = {
        "action": "c2pa.created",
        "digitalSourceType": MADE_BY_A_MODEL,
        "softwareAgent": {"name": "fakelens example autoencoder"},
    }
    manifest = {
        "claim_version": 2,
        "claim_generator_info": [{"name": "fakelens", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    output = io.BytesIO()
    context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
    info = c2pa.C2paSignerInfo(b"es256", chain, private, None)
    with c2pa.Builder(manifest, context=context) as builder:
        builder.sign(c2pa.Signer.from_info(info), "image/jpeg", io.BytesIO(jpeg), output)
    return output.getvalue()


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> bytes:
    """Return a certificate as PEM; one that its own key signs is an authority's.

    Args:
        name: Whose it is.
        key: Theirs.
        issuer: Who vouches for them.
        issuer_key: The issuer's.
    """
    is_authority = key is issuer_key
    subject, by = (x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, one)]) for one in (name, issuer))
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number(), *VALID)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    signing = {"digital_signature": not is_authority, "key_cert_sign": is_authority, "crl_sign": is_authority}
    builder = (
        builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **signing), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        email = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(email, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    main()
