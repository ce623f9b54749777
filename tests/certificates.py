"""Certificates for 127.0.0.1 that nobody else has signed."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def self_signed(
    name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, is_authority: bool = False
) -> tuple[bytes, bytes]:
    """The certificate and its key as PEM, good for a day."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    if is_authority:
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public = built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return public, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
