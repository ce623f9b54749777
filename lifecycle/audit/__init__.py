"""The audit log: a hash chain with a signed head, and a verifier that needs no store."""

from __future__ import annotations

from lifecycle.audit.chain import Entry, Event, Head, chain, genesis
from lifecycle.audit.export import anchor_line, export_lines
from lifecycle.audit.keys import SigningKey, load_signing_key
from lifecycle.audit.verify import Check, Finding, Verdict, verify

__all__ = [
    "Check",
    "Entry",
    "Event",
    "Finding",
    "Head",
    "SigningKey",
    "Verdict",
    "anchor_line",
    "chain",
    "export_lines",
    "genesis",
    "load_signing_key",
    "verify",
]
