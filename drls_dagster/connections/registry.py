"""What the settings say of a registry of schemas. The password is only named there."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drls_dagster.connections.kafka import AVRO
from lifecycle.addresses import is_protected


class RegistryConnection(BaseModel):
    """A registry of schemas with Confluent's REST interface: a connection with `kind = "registry"`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["registry"] = Field(description="`registry`")
    url: str = Field(
        max_length=1000,
        repr=False,
        description="Where it answers, such as `https://schemas.example`; nothing else",
    )
    user: str | None = Field(default=None, max_length=500, description="User at the registry, or its API key")
    password: str | None = Field(
        default=None, repr=False, pattern=r"^(env|file):.+", description="`env:NAME` or `file:/path`"
    )
    ca: str | None = Field(
        default=None,
        pattern=r"^/[^,\s]+$",
        description="File with the certificate of the registry's authority, as PEM; default: the system's",
    )

    @model_validator(mode="after")
    def _leads_to_a_registry(self) -> RegistryConnection:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("url is no address; write https://host:port") from None
        if parts.scheme not in ("http", "https") or not host or not self.url.isprintable() or " " in self.url:
            raise ValueError("url must begin with https:// or http:// and name a host")
        if "@" in parts.netloc:
            raise ValueError("url has a user in it; set user, and password to env:NAME or file:/path")
        if parts.query or parts.fragment or ".." in parts.path.split("/"):
            raise ValueError("url has more than a host and a path")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together; set both or none")
        if self.password is not None and not is_protected(self.url):
            raise ValueError("the password would be sent in clear text; write https://… for the url")
        if self.user is not None and (not self.user.isprintable() or ":" in self.user):
            raise ValueError("user has characters that no name of a user needs")
        if self.ca is not None and parts.scheme != "https":
            raise ValueError("ca belongs to https; remove it, or write https://… for the url")
        return self

    @cached_property
    def place(self) -> dict[str, Any]:
        """What tells it from other connections, without its password: it is hashed into plans and receipts (L4)."""
        parts = urlsplit(self.url)
        return {"registry": f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}", "user": self.user}

    @property
    def jars(self) -> tuple[str, ...]:
        """The Maven coordinates of what Spark needs for it."""
        return (AVRO,)

    @property
    def given_jar(self) -> None:
        """No jar of this machine."""

    @property
    def read_files(self) -> tuple[str, ...]:
        """The files that Spark opens for it: none, because the run asks the registry."""
        return ()
