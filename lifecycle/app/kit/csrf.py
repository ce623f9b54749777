"""The hidden field of every form: the session's CSRF token, in a different dress each time.

The token itself is never in a page, only the token XORed with fresh random bytes, so that a compressed
page does not give it away byte by byte (BREACH, CVE-2013-3587).
"""

from __future__ import annotations

import hmac
import secrets

from lifecycle.app.kit.request import csrf_of

FIELD = "csrf"


def masked(session: str) -> str:
    """A value for the hidden field of a page of this session."""
    token = bytes.fromhex(csrf_of(session))
    mask = secrets.token_bytes(len(token))
    return (mask + _xor(mask, token)).hex()


def is_own(session: str, sent: object) -> bool:
    """Whether a form came from a page of this session."""
    token = bytes.fromhex(csrf_of(session))
    try:
        raw = bytes.fromhex(sent) if isinstance(sent, str) else b""
    except ValueError:
        return False
    if len(raw) != 2 * len(token):
        return False
    return hmac.compare_digest(_xor(raw[: len(token)], raw[len(token) :]), token)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))
