"""Asking a registry for schemas, by Confluent's REST interface. What it says is looked at before it is believed."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from drls_dagster.connections.opened import OpenedRegistry
from drls_dagster.steps.sources.kafka.avro_schemas import Unusable, checked
from drls_dagster.steps.sources.pins import SourceMissing, SourceUnreadable

SECONDS = 15.0
MOST_BYTES = 4 * 2**20  # of an answer


@dataclass(frozen=True)
class Asked:
    """A registry, and the source that asks it."""

    node: str
    connection: OpenedRegistry

    def reader(self, subject: str, version: int) -> str:
        """The schema of a subject in one of its versions. Raises SourceMissing and SourceUnreadable."""
        said = self._ask(f"subjects/{quote(subject, safe='')}/versions/{version}")
        if said is None:
            raise SourceMissing(
                f"{self._where} has no version {version} of the subject '{subject}'; correct subject and version"
            )
        try:
            return _schema(said)
        except Unusable as error:
            raise SourceUnreadable(
                f"{self._where}: version {version} of the subject '{subject}' {error}; name a version that can be read"
            ) from None

    def writer(self, number: int) -> str:
        """The schema of an id, as messages name it. Raises Unusable where it has no schema that can be read."""
        said = self._ask(f"schemas/ids/{number}")
        if said is None:
            raise Unusable("is not in the registry")
        return _schema(said)

    @property
    def _where(self) -> str:
        return f"node '{self.node}': the registry '{self.connection.name}'"

    def _ask(self, path: str) -> dict[str, Any] | None:
        """What it answers; None where it says that there is nothing."""
        import httpx

        one = self.connection
        auth = None if one.password is None else httpx.BasicAuth(one.user or "", one.password)
        # A proxy of the environment, a .netrc or a redirect would take the password somewhere else.
        try:
            with (
                httpx.Client(
                    verify=ssl.create_default_context(cafile=one.ca),
                    auth=auth,
                    follow_redirects=False,
                    trust_env=False,
                    timeout=SECONDS,
                ) as client,
                client.stream("GET", f"{one.url.rstrip('/')}/{path}", headers={"Accept": _ACCEPT}) as answer,
            ):
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise SourceUnreadable(f"{self._where} answers with more than {MOST_BYTES:,} bytes")
        except (httpx.HTTPError, OSError) as error:
            said = one.without_password(str(error))[:200]
            raise SourceUnreadable(
                f"{self._where} does not answer ({said}); check url and ca of the connection, and that this machine "
                "may reach it"
            ) from None
        return self._understood(answer.status_code, content)

    def _understood(self, status: int, content: bytes) -> dict[str, Any] | None:
        if status == 404:
            return None
        if status in (401, 403):
            raise SourceUnreadable(
                f"{self._where} refuses the user or the password; correct user and password of the connection"
            )
        if 300 <= status < 400:
            raise SourceUnreadable(f"{self._where} leads to another address; write that one as url, if it is right")
        try:
            said = json.loads(content) if status == 200 else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise SourceUnreadable(f"{self._where} does not answer like a registry (status {status}); correct its url")
        return said


_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"


def _schema(said: dict[str, Any]) -> str:
    if said.get("schemaType", "AVRO") != "AVRO":
        raise Unusable("is no Avro schema")
    if said.get("references"):
        raise Unusable("refers to schemas of other subjects, which this release does not read")
    text = said.get("schema")
    if not isinstance(text, str):
        raise Unusable("has no text")
    return checked(text)
