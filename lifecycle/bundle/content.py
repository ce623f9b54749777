"""What a bundle holds."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field

from lifecycle.audit.chain import Entry, Head
from lifecycle.domain.model import Frozen
from lifecycle.domain.promotion import Decision, Promotion
from lifecycle.domain.run import Receipt
from lifecycle.domain.version import Deployment, Version
from lifecycle.errors import Invalid


class Approval(Frozen):
    """A request with what people decided about it."""

    promotion: Promotion
    decisions: tuple[Decision, ...]


class Bundle(Frozen):
    """A version with its evidence. `people` gives names to the person ids in it; `log` is the audit slice."""

    kind: Literal["drls-bundle"] = "drls-bundle"
    format_version: Literal[1] = 1
    pipeline: str
    version: Version
    deployments: tuple[Deployment, ...]
    approvals: tuple[Approval, ...]
    receipts: tuple[Receipt, ...]
    code: dict[str, str] = Field(default_factory=dict)  # the version's files by path, in base64
    people: dict[str, str]
    log: tuple[Entry, ...]
    head: Head

    def files(self) -> dict[str, bytes]:
        """The version's files. Raises Invalid when one is not base64."""
        try:
            return {path: base64.b64decode(text, validate=True) for path, text in self.code.items()}
        except ValueError:
            raise Invalid("the bundle's code is not base64; export it again") from None

    @property
    def provenance(self) -> dict[str, Any]:
        """What an import keeps of where the version came from."""
        return {
            "kind": "imported",
            "pipeline": self.pipeline,
            "version": self.version.number,
            "digest": self.version.digest,
            "log": self.head.log,
            "signed_by": self.head.key_id,
        }
