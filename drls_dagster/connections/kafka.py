"""What the settings say of a Kafka cluster. The password is only named there."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Spark's connector. From 4.1.3 on its streams can repeat a batch (SPARK-57438); here it reads in batches only.
JARS = (
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
    "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1",
    "org.apache.kafka:kafka-clients:3.9.1",
    "org.apache.commons:commons-pool2:2.12.1",
)
# Reads messages in Avro. Of Spark's own version some registries do not have it; what it calls has not changed since.
AVRO = "org.apache.spark:spark-avro_2.13:4.1.1"
# Settings of clients name classes, files and commands (`sasl.jaas.config`, `ssl.engine.factory.class`,
# `metric.reporters`, …), and there are new ones with each release. So DRLS takes those on a list and no others.
OPTIONS = frozenset(
    {"client.id", "client.rack", "client.dns.lookup", "request.timeout.ms", "fetch.max.bytes", "fetch.max.wait.ms"}
    | {"max.partition.fetch.bytes", "max.poll.records", "receive.buffer.bytes", "ssl.endpoint.identification.algorithm"}
)
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_SERVER = re.compile(rf"{_HOST}:([0-9]{{1,5}})")
_VALUE = re.compile(r"[A-Za-z0-9_.:-]{0,200}")


class KafkaConnection(BaseModel):
    """A Kafka cluster that sources of kind `kafka` read: a connection with `kind = "kafka"`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["kafka"] = Field(description="`kafka`")
    bootstrap_servers: tuple[str, ...] = Field(
        min_length=1, max_length=50, description='Brokers to begin with, such as `["kafka.example:9092"]`'
    )
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="sasl_ssl",
        description="How the brokers are spoken to; `plaintext` and `sasl_plaintext` encrypt nothing",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How the password is shown to the brokers"
    )
    user: str | None = Field(
        default=None, max_length=500, description="User at the brokers. Give it the right to read, and no other"
    )
    password: str | None = Field(
        default=None, repr=False, pattern=r"^(env|file):.+", description="`env:NAME` or `file:/path`"
    )
    ca: str | None = Field(
        default=None,
        pattern=r"^/[^,\s]+$",
        description="File with the certificate of the brokers' authority, as PEM; default: the system's",
    )
    options: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Settings of the client, of those that DRLS allows"
    )

    @model_validator(mode="after")
    def _leads_to_brokers(self) -> KafkaConnection:
        for one in self.bootstrap_servers:
            found = _SERVER.fullmatch(one)
            if found is None or not 0 < int(found[1]) < 65_536:
                raise ValueError(f"'{one[:60]}' is no broker; write host:port")
        if self.asks_for_password != (self.user is not None and self.password is not None):
            raise ValueError(
                "user and password belong to sasl_plaintext and sasl_ssl; set both, or another security_protocol"
            )
        if self.user is not None and not self.user.isprintable():
            raise ValueError("user has characters that no name of a user needs")
        if self.ca is not None and not self.security_protocol.endswith("ssl"):
            raise ValueError("ca belongs to ssl and sasl_ssl; remove it, or set another security_protocol")
        for name, value in self.options.items():
            if name not in OPTIONS:
                raise ValueError(
                    f"the option '{name[:40]}' of Kafka is not allowed, because options of clients can load classes "
                    f"and files; allowed are {', '.join(sorted(OPTIONS))}"
                )
            if not _VALUE.fullmatch(value):
                raise ValueError(f"the option '{name}' has a value with characters that no option needs")
        return self

    @property
    def asks_for_password(self) -> bool:
        return self.security_protocol.startswith("sasl")

    @cached_property
    def place(self) -> dict[str, Any]:
        """What tells it from other connections, without its password: it is hashed into plans and receipts (L4)."""
        servers = sorted({one.lower() for one in self.bootstrap_servers})
        return {"servers": servers, "user": self.user}

    @property
    def jars(self) -> tuple[str, ...]:
        """The Maven coordinates of what Spark needs for it."""
        return (*JARS, AVRO)

    @property
    def given_jar(self) -> None:
        """No jar of this machine."""

    @property
    def read_files(self) -> tuple[str, ...]:
        """The files that Spark opens for it."""
        return () if self.ca is None else (self.ca,)
