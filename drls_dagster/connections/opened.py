"""A connection as a run gets it: with its password, which nothing prints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from drls_dagster.connections.databases import DATABASES, Database


class _Opened(BaseModel):
    """`fingerprint` is that of the plan and the receipt."""

    model_config = ConfigDict(frozen=True)

    name: str
    user: str | None
    password: str | None = Field(repr=False)
    options: dict[str, str] = Field(default_factory=dict, repr=False)
    fingerprint: str

    def without_password(self, text: str) -> str:
        """The text, which a driver, a client or Spark wrote, without the password where it is in it."""
        return text.replace(self.password, "…") if self.password else text


class OpenedConnection(_Opened):
    """What reading needs of a connection to a database."""

    kind: Literal["jdbc"] = "jdbc"
    driver: str
    driver_class: str
    url: str = Field(repr=False)
    fetch_size: int

    @property
    def database(self) -> Database | None:
        return DATABASES.get(self.driver)


class OpenedKafka(_Opened):
    """A Kafka cluster as a run gets it."""

    kind: Literal["kafka"] = "kafka"
    servers: str
    protocol: str
    mechanism: str
    ca: str | None


class OpenedRegistry(_Opened):
    """A registry of schemas as a run gets it."""

    kind: Literal["registry"] = "registry"
    url: str = Field(repr=False)
    ca: str | None


AnyOpened = Annotated[OpenedConnection | OpenedKafka | OpenedRegistry, Field(discriminator="kind")]
