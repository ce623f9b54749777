"""The roles that a grant gives, in their order."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a grant gives; each role includes the ones before it."""

    VIEWER = "Viewer"
    DATA_ENGINEER = "DataEngineer"
    LEAD = "LeadDataEngineer"
    ADMIN = "Admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what `other` may."""
        return self.rank >= other.rank
