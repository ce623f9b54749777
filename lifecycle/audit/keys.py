"""The Ed25519 key that signs the audit head and export bundles. It never enters the store."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import (
    CryptoSigner,  # pyright: ignore[reportPrivateImportUsage]
    SSlibKey,  # pyright: ignore[reportPrivateImportUsage]
)

from lifecycle.audit.chain import Head
from lifecycle.errors import StoreError
from lifecycle.private_files import is_private, write_private


class SigningKey:
    """Signs heads; `public` is what a verifier keeps (hexadecimal)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key()
        raw = self._public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = raw.hex()
        self.signer = CryptoSigner(private)
        self.key_id = self.signer.public_key.keyid

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    def signed(self, head: Head) -> bool:
        """Whether this key signed `head`."""
        if head.key_id != self.key_id:
            return False
        try:
            self._public.verify(bytes.fromhex(head.signature), head.signed_bytes)
        except (InvalidSignature, ValueError):
            return False
        return True

    def sign(self, head: Head) -> Head:
        """`head` with this key's signature."""
        named = head.model_copy(update={"key_id": self.key_id})
        return named.model_copy(update={"signature": self._private.sign(named.signed_bytes).hex()})


def public_key(public: str) -> SSlibKey:
    """The verifying key for the hexadecimal text that SigningKey.public gives."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))


def is_signed(head: Head, public: str) -> bool:
    """Whether the key `public` (hexadecimal) signed `head`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(head.signature), head.signed_bytes)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_signing_key(file: Path) -> SigningKey:
    """The key in `file` (PKCS8 PEM); made at the first start, readable by its owner only.

    Raises StoreError when others can read the file, or when it holds no Ed25519 key.
    """
    if not file.exists():
        _create(file)
    if not is_private(file):
        raise StoreError(f"{file} is readable by other users; run: chmod 600 {file}")
    try:
        private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except ValueError as error:
        raise StoreError(f"{file} contains no private key ({error}); restore it from a backup") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise StoreError(f"{file} contains a key that is not Ed25519; restore it from a backup")
    return SigningKey(private)


def _create(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Of two first starts one key stays.
    write_private(file, pem, replace=False)
