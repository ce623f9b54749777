"""The audit log: a hash chain with a signed head, and a verifier that needs no store."""

from __future__ import annotations

from lifecycle.audit.chain import Entry, Event, Head, chain, genesis
from lifecycle.audit.keys import SigningKey, load_signing_key
from lifecycle.audit.verify import Finding, Verdict, verify

__all__ = [
    "Entry",
    "Event",
    "Finding",
    "Head",
    "SigningKey",
    "Verdict",
    "chain",
    "genesis",
    "load_signing_key",
    "verify",
]
