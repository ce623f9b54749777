"""What each code location holds, kept by the location itself: loaded is not always deployed (L15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifecycle.domain.environment import Environment
from lifecycle.store.unit import Unit, View

# Stands for the digest of what nobody has saved: in development a changed file takes the saved version's place.
DRAFT = "draft"


def setting_name(environment: Environment) -> str:
    """The name of the setting in which a location keeps it."""
    return f"loaded:{environment.value}"


def loaded_digests(view: View, environment: Environment) -> dict[str, str] | None:
    """By pipeline, the digest that the location loaded last, or DRAFT; None when it never said."""
    found = view.settings.find(setting_name(environment))
    return None if found is None else dict(found.value["loaded"])


def stuck_pipelines(view: View, environment: Environment) -> frozenset[str]:
    """Pipelines that the location holds in another version than is deployed, however often it is loaded again."""
    found = view.settings.find(setting_name(environment))
    return frozenset() if found is None else frozenset(found.value.get("stuck", ()))


def record_loaded(
    unit: Unit, environment: Environment, loaded: Mapping[str, str], *, stuck: Iterable[str] = ()
) -> None:
    """Keeps what the location holds now, and what of it reloads do not put right."""
    unit.settings.put(setting_name(environment), {"loaded": dict(loaded), "stuck": sorted(stuck)})
