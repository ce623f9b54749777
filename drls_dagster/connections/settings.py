"""What the settings say of a connection. The password is only named there."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from drls_dagster.connections.databases import DATABASES, Database, address_of, refuse_options
from drls_dagster.connections.kafka import KafkaConnection
from drls_dagster.connections.registry import RegistryConnection

_CLASS = re.compile(r"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+")
_SECRET_IN_URL = re.compile(r"(?i)pass(?:word|wd)?\s*=|//[^/@;?]*:[^/@;?]*@")


class ConnectionSettings(BaseModel):
    """A database that sources of kind `jdbc` read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["jdbc"] = Field(default="jdbc", description="`jdbc`; `kafka` and `registry` are described below")
    driver: str = Field(
        description="`postgresql`, `mysql`, `sqlserver` or `oracle`; for another database the class of its driver"
    )
    url: str = Field(
        repr=False, description="Host, port and database, such as `jdbc:postgresql://host:5432/database`; nothing else"
    )
    user: str | None = Field(default=None, description="User at the database. Give it the right to read, and no other")
    password: str | None = Field(
        default=None, repr=False, pattern=r"^(env|file):.+", description="`env:NAME` or `file:/path`"
    )
    options: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Settings of the driver, of those that DRLS allows"
    )
    fetch_size: int = Field(default=10_000, ge=1, le=1_000_000, description="Rows that a driver fetches at once")
    jar: str | None = Field(
        default=None,
        pattern=r"^/[^,\s]+\.jar$",
        description="The driver's jar on this machine; default for the four named databases: downloaded once",
    )

    @property
    def database(self) -> Database | None:
        """None for a driver that DRLS does not know."""
        return DATABASES.get(self.driver)

    @model_validator(mode="after")
    def _leads_to_a_database(self) -> ConnectionSettings:
        database = self.database
        if database is not None:
            address_of(database, self.url)
            refuse_options(database, self.options)
            return self
        if not _CLASS.fullmatch(self.driver):
            raise ValueError(
                f"driver must be {', '.join(DATABASES)} or the class of a driver, not '{self.driver[:60]}'"
            )
        if any(self.driver == one.driver for one in DATABASES.values()):
            name = next(one.name for one in DATABASES.values() if one.driver == self.driver)
            raise ValueError(f'write driver = "{name}" for {self.driver}')
        if self.jar is None:
            raise ValueError(f"jar must name the file with the driver {self.driver}")
        if not re.fullmatch(r"jdbc:\S+", self.url):
            raise ValueError("url must begin with jdbc:")
        if _SECRET_IN_URL.search(self.url):
            raise ValueError("url has a password in it; set password to env:NAME or file:/path")
        return self

    @property
    def driver_class(self) -> str:
        return self.driver if self.database is None else self.database.driver

    @cached_property
    def place(self) -> dict[str, Any]:
        """What tells it from other connections, without its password: it is hashed into plans and receipts (L4)."""
        database = self.database
        if database is None:
            return {"driver": self.driver, "url": self.url, "user": self.user, "options": dict(self.options)}
        at = address_of(database, self.url)
        options = {name: value for name, value in self.options.items() if name not in _HOW}
        return {"driver": self.driver, "host": at.host, "port": at.port, "database": at.database} | {
            "user": self.user,
            "options": options,
        }

    @property
    def jars(self) -> tuple[str, ...]:
        """The Maven coordinates of what Spark needs for it."""
        return () if self.database is None or self.jar is not None else (self.database.jar,)

    @property
    def given_jar(self) -> str | None:
        """The jar of this machine that it names."""
        return self.jar

    @property
    def read_files(self) -> tuple[str, ...]:
        """The files that Spark opens for it, such as the certificate of the database's authority."""
        files = self.database.files if self.database is not None else frozenset[str]()
        return tuple(value for name, value in self.options.items() if name in files)


# Options that say how to connect, and not to what or as whom.
_HOW = {
    *("ApplicationName", "connectTimeout", "loginTimeout", "socketTimeout", "tcpKeepAlive", "prepareThreshold"),
    *("preferQueryMode", "useCompression", "applicationName", "queryTimeout", "sslrootcert"),
    *("oracle.net.CONNECT_TIMEOUT", "oracle.jdbc.ReadTimeout"),
}


def _kind(value: Any) -> str:
    return str(value.get("kind", "jdbc") if isinstance(value, dict) else getattr(value, "kind", "jdbc"))


AnyConnection = Annotated[
    Annotated[ConnectionSettings, Tag("jdbc")]
    | Annotated[KafkaConnection, Tag("kafka")]
    | Annotated[RegistryConnection, Tag("registry")],
    Discriminator(_kind),
]
