"""All of it, asked as one person."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from drls_dagster.lifecycle_client.interface.audit import Audit
from drls_dagster.lifecycle_client.interface.environments import Environments
from drls_dagster.lifecycle_client.interface.people import People
from drls_dagster.lifecycle_client.interface.pipelines import Pipelines
from drls_dagster.lifecycle_client.interface.promotions import Promotions
from lifecycle.usecases.tokens import Issued


class Lifecycle(ABC):
    """A lifecycle, asked as one person."""

    pipelines: Pipelines
    promotions: Promotions
    environments: Environments
    people: People
    audit: Audit

    @abstractmethod
    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        """A personal token for a password; needs no token before."""

    @abstractmethod
    def close(self) -> None:
        """Gives every connection back."""
