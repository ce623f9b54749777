"""The types of what verbs take, and how REST carries some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import StringConstraints

_TEXT = r"^[^\x00]*$"

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=_TEXT)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Name = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z][a-z0-9_]*$")]
PipelineName = Annotated[str, StringConstraints(max_length=63, pattern=_TEXT)]
AccountName = Annotated[str, StringConstraints(max_length=64, pattern=_TEXT)]
PersonName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
NewName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
AgentName = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Subject = Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^https?://[^|\s\x00]+\|[^\x00]+$")]
Password = Annotated[str, StringConstraints(min_length=12, max_length=1_000, pattern=_TEXT)]
TokenName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\S[^\x00]*$")]
RunId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
ShortText = Annotated[str, StringConstraints(max_length=200, pattern=_TEXT)]
EntryVerb = Annotated[str, StringConstraints(max_length=100, pattern=_TEXT)]
Digest = Annotated[str, StringConstraints(max_length=100)]
TableName = Annotated[str, StringConstraints(min_length=1, max_length=500)]
# Of a table or column that somebody else may have named.
SeenName = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_TEXT)]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Ge(1), Le(2**31)]
Id = Annotated[int, Ge(1), Le(2**53)]
Days = Annotated[int, Ge(1), Le(366)]
Limit = Annotated[int, Ge(1), Le(500)]
Cursor = Annotated[int | None, Ge(1), Le(2**53)]
Since = Annotated[int | None, Ge(0), Le(2**53)]


@dataclass(frozen=True)
class Header:
    """Travels as this header of the request; `quoted` as an ETag does."""

    name: str
    quoted: bool = False


@dataclass(frozen=True)
class InQuery:
    """Travels in the query, though the request has a body, or under another name there."""

    name: str | None = None


class WholeBody:
    """Is the request's body, all of it."""


Key = Annotated[str | None, StringConstraints(max_length=200, pattern=r"^[!-~]+$"), Header("Idempotency-Key")]
IfRevision = Annotated[int | None, Ge(0), Header("If-Match", quoted=True)]
IfDigest = Annotated[
    str | None, StringConstraints(max_length=200, pattern=r"^[ -~]+$"), Header("If-Match", quoted=True)
]
