"""Requests to review."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.domain.promotion import Promotion
from lifecycle.domain.version import Version
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life

Open = Callable[[str | None], Visit]


def url(promotion: Promotion) -> str:
    return f"/approvals/{promotion.id}"


def asked(life: Life, **options: str) -> Promotion:
    """A request of ada's into UAT, with everything that it needs."""
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    return life.ask(version, UAT, **options)


def asked_for_production(life: Life) -> tuple[Version, Promotion]:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return version, life.ask(version, PRODUCTION)
