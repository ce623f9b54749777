"""A connection as a run gets it: with its password, which nothing prints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from drls_dagster.connections.databases import DATABASES, Database


class OpenedConnection(BaseModel):
    """What reading needs of a connection. `fingerprint` is that of the plan and the receipt."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["jdbc"] = "jdbc"
    name: str
    driver: str
    driver_class: str
    url: str = Field(repr=False)
    user: str | None
    password: str | None = Field(repr=False)
    options: dict[str, str] = Field(repr=False)
    fetch_size: int
    fingerprint: str

    @property
    def database(self) -> Database | None:
        return DATABASES.get(self.driver)

    def without_password(self, text: str) -> str:
        """The text, which a driver or Spark wrote, without the password where it is in it."""
        return text.replace(self.password, "…") if self.password else text


class OpenedKafka(BaseModel):
    """A Kafka cluster as a run gets it. `fingerprint` is that of the plan and the receipt."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["kafka"] = "kafka"
    name: str
    servers: str
    protocol: str
    mechanism: str
    user: str | None
    password: str | None = Field(repr=False)
    ca: str | None
    options: dict[str, str] = Field(repr=False)
    fingerprint: str

    def without_password(self, text: str) -> str:
        """The text, which a client or Spark wrote, without the password where it is in it."""
        return text.replace(self.password, "…") if self.password else text


AnyOpened = Annotated[OpenedConnection | OpenedKafka, Field(discriminator="kind")]
