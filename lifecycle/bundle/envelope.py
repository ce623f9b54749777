"""The signed envelope (DSSE, Ed25519) around a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

import rfc8785
from pydantic import ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError

from lifecycle.audit.keys import SigningKey, public_key
from lifecycle.bundle.content import Bundle
from lifecycle.errors import Invalid

PAYLOAD_TYPE = "application/vnd.drls.bundle+json"
MAX_BYTES = 20_000_000
MAX_DEPTH = 60


def write_bundle(bundle: Bundle, key: SigningKey) -> bytes:
    """The signed file."""
    envelope = Envelope(rfc8785.dumps(bundle.model_dump(mode="json")), PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    document = cast("dict[str, Any]", envelope.to_dict())  # pyright: ignore[reportUnknownMemberType]
    return json.dumps(document, indent=1).encode()


def read_bundle(data: bytes, trusted: Iterable[str]) -> Bundle:
    """The content of a file that one of the `trusted` keys (hexadecimal) signed.

    Raises Invalid when it is too large or too deep, is no bundle, or the signature does not fit.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(f"the bundle has {len(data)} bytes; the limit is {MAX_BYTES}")
    try:
        envelope = Envelope.from_dict(_limited(data))  # pyright: ignore[reportUnknownMemberType]
        envelope.verify([public_key(key) for key in trusted], 1)
    except VerificationError:
        raise Invalid("the bundle is not signed by a trusted key, or was changed; get it again") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Invalid(
            "the file is not a bundle: a bundle is a JSON envelope with payload and signatures; export it again"
        ) from None
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Invalid(f"the file contains {envelope.payload_type!r}, not a bundle")
    try:
        return Bundle.model_validate(_limited(envelope.payload))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(
            f"the bundle is from a different DRLS version: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None


def _limited(data: bytes) -> Any:
    """JSON whose nesting is bounded: looked at before it is parsed."""
    depth = deepest = 0
    in_text = escaped = False
    for byte in data:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise Invalid(f"the bundle nests {deepest} levels; at most {MAX_DEPTH} are read")
    return json.loads(data)
