"""What each code location loaded last: kept by the location itself, read by people's commands."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.store.unit import View


def setting_name(environment: Environment) -> str:
    """The name of the setting in which a location keeps it."""
    return f"loaded:{environment.value}"


def loaded_digests(view: View, environment: Environment) -> dict[str, str] | None:
    """By pipeline, the digest that the location loaded last; None when it never said."""
    found = view.settings.find(setting_name(environment))
    return None if found is None else dict(found.value["loaded"])
