"""The catalog's configuration, resolved once: what both clients, PyIceberg and Spark, are made from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote, quote_plus

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.catalog_file import catalog_file, earlier_file
from drls_dagster.secret_source import read_secret

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from sqlalchemy import URL

from drls_dagster.settings import Settings

Protocol = Literal["sql", "rest", "hive", "glue"]

# Nessie and Polaris speak Iceberg REST: one protocol that both clients know, no code of their own.
_PROTOCOLS: dict[str, Protocol] = {
    "sql": "sql", "rest": "rest", "hive": "hive", "glue": "glue", "nessie": "rest", "polaris": "rest",
}  # fmt: skip
_CREDENTIAL_NAMES = frozenset(
    {"password", "secret", "token", "credential", "secret-access-key", "session-token", "account-key",
     "sas-token", "client-secret", "connection-string"}
)  # fmt: skip
_POLARIS_DEFAULTS = {
    "scope": "PRINCIPAL_ROLE:ALL",
    "header.X-Iceberg-Access-Delegation": "vended-credentials",
}


@dataclass(frozen=True)
class CatalogConfig:
    """One Iceberg catalog with its credentials in hand. Hashable; its repr shows no credential."""

    name: str
    protocol: Protocol
    uri: str | None
    warehouse: str | None
    properties: tuple[tuple[str, str], ...] = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    secret_values: frozenset[str] = field(repr=False)

    def without_secrets(self, text: str) -> str:
        """`text` with every credential in it replaced by `***`."""
        for secret in sorted(self.secret_values, key=len, reverse=True):
            for written in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
                text = text.replace(written, "***")
        return text

    def for_people(self, text: str) -> str:
        """`text` without credentials and without this server's folders: with `warehouse` for that of the tables."""
        text = self.without_secrets(text)
        folder = (self.warehouse or "").removeprefix("file://")
        if folder.startswith("/"):
            text = re.sub(rf"(?:file:(?://)?)?{re.escape(folder.rstrip('/'))}(?![\w.-])", "warehouse", text)
        return re.sub(r"\bsqlite:///\S*/", "sqlite:///…/", text)


def resolve_catalog(settings: Settings) -> CatalogConfig:
    """Read the credentials that `settings.catalog.secrets` names and fill in the defaults.

    `uri` comes without its password. Raises UsageError for a setting that cannot be, DrlsError for
    a credential that is not where the settings say.
    """
    catalog = settings.catalog
    secrets = tuple((name, read_secret(f"catalog.secrets.{name}", source)) for name, source in catalog.secrets.items())
    here = _Here(settings.home, catalog_file(settings.home), os.environ.get("PGUSER"), os.environ.get("PGPASSWORD"))
    said = (catalog.type, catalog.name, catalog.uri, catalog.warehouse, tuple(catalog.properties.items()))
    return _resolved(_Said(*said), secrets, here)


class _Said(NamedTuple):
    """What the settings say of the catalog, besides its secrets."""

    type: str
    name: str
    uri: str | None
    warehouse: str | None
    properties: tuple[tuple[str, str], ...]


class _Here(NamedTuple):
    """What else it depends on, as it is now."""

    home: Path
    file: Path
    user: str | None
    password: str | None


@lru_cache(maxsize=8)
def _resolved(catalog: _Said, given: tuple[tuple[str, str], ...], here: _Here) -> CatalogConfig:
    """Everything that it depends on is an argument: each call about a table asks for it, many times."""
    _refuse_credentials_in_the_open(catalog)
    secrets = dict(given)
    properties = {**dict(catalog.properties), **secrets}
    protocol = _PROTOCOLS[catalog.type]
    uri = properties.pop("uri", None) or catalog.uri
    warehouse = catalog.warehouse
    user = password = None
    if catalog.type == "polaris":
        properties = {**_POLARIS_DEFAULTS, **properties}
        if not warehouse:
            raise UsageError("catalog.warehouse is missing: set it to the catalog's name in Polaris")
    if protocol == "sql":
        uri = uri or f"sqlite:///{here.file}"
        warehouse = warehouse or str(here.home / "warehouse")
        url = parse_sql_uri(uri)
        if url.drivername == "sqlite" and Path(url.database or "") == earlier_file(here.home):
            url = url.set(database=str(here.file))
        if url.drivername == "postgresql":
            user = properties.pop("user", None) or url.username or here.user
            password = properties.pop("password", None) or url.password or here.password
        uri = url._replace(username=None, password=None).render_as_string()
    elif protocol in {"rest", "hive"} and not uri:
        raise UsageError(f"catalog.uri is missing: set it to the address of the {catalog.type} catalog")
    # A client sends the parts of `id:secret` one by one, so each may come back in an error.
    client_secrets = [secrets[name].partition(":")[2] for name in secrets if name.endswith("credential")]
    return CatalogConfig(
        name=catalog.name,
        protocol=protocol,
        uri=uri,
        warehouse=local_as_uri(warehouse) if warehouse else None,
        properties=tuple(sorted(properties.items())),
        user=user,
        password=password,
        secret_values=frozenset(value for value in (*secrets.values(), *client_secrets, password) if value),
    )


def warehouse_folder(settings: Settings) -> Path | None:
    """The folder that the tables lie in, without links; None where that is no folder of this machine."""
    return local_folder(resolve_catalog(settings).warehouse)


def warehouse_of(catalog: Catalog) -> Path | None:
    """The same of a catalog that was loaded."""
    return local_folder(catalog.properties.get("warehouse"))


def local_folder(where: str | None) -> Path | None:
    """A warehouse's place as a folder of this machine, without links; None for other storage."""
    return Path(where.removeprefix("file://")).resolve() if where and where.startswith("file://") else None


def local_as_uri(location: str) -> str:
    """A local path or `file:/…` as `file:///…`; every other location as it is.

    Spark writes `file:/x` where PyIceberg writes `file:///x`: compare locations in this form.
    """
    if location.startswith("file:"):
        return "file:///" + location.removeprefix("file:").lstrip("/")
    if location.startswith(("/", "~")):
        return f"file://{Path(location).expanduser()}"
    return location


@lru_cache(maxsize=64)
def parse_sql_uri(uri: str) -> URL:
    """The URL of a `sql` catalog; its driver name is `sqlite` or `postgresql`. Raises UsageError."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise UsageError("catalog.uri is not a database URL; write postgresql://user@host:5432/database") from None
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise UsageError(f"catalog.uri: a sql catalog must be on sqlite or postgresql, not {backend}")
    if not url.database or url.database == ":memory:":
        raise UsageError("catalog.uri does not name a database that two processes could share")
    if backend == "sqlite" and not Path(url.database).is_absolute():
        raise UsageError("catalog.uri: write the SQLite file's absolute path, sqlite:////folder/catalog.db")
    return url.set(drivername=backend)


def _refuse_credentials_in_the_open(catalog: _Said) -> None:
    for name, _ in catalog.properties:
        if name.rpartition(".")[2] in _CREDENTIAL_NAMES:
            raise UsageError(f"catalog.properties.{name} is a credential; move it to catalog.secrets as env:NAME")
    authority = (catalog.uri or "").partition("://")[2].partition("/")[0]
    if ":" in authority.rpartition("@")[0]:
        raise UsageError("catalog.uri contains a password; remove it and set catalog.secrets.password to env:NAME")
