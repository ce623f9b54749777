"""Tokens: what a secret was issued for. The secret itself is never kept, only its hash."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from lifecycle.domain.model import Frozen


class TokenKind(StrEnum):
    """PERSONAL for programs, SESSION for a browser, LINK signs in once."""

    PERSONAL = "personal"
    SESSION = "session"
    LINK = "link"


class TokenScope(StrEnum):
    """What a token may be used for, at most; its owner's grants still apply."""

    READ = "read"
    WRITE = "write"
    APPROVE = "approve"
    ADMIN = "admin"


AGENT_SCOPES = frozenset({TokenScope.READ, TokenScope.WRITE})
"""The most that an agent's token can be for, whoever issues it."""


class Token(Frozen):
    """An issued secret, by its SHA-256. `issued_from` is the token that it was made with, and ends with.

    `unattended`: an agent that has it changes things without asking a person.
    """

    id: int
    person_id: int
    kind: TokenKind
    name: str
    secret_hash: str
    scopes: tuple[TokenScope, ...]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    issued_from: int | None = None
    unattended: Literal[True] | None = None

    def lives(self, now: datetime) -> bool:
        """Whether it is neither revoked nor used up nor too old."""
        return self.revoked_at is None and self.used_at is None and self.expires_at > now
