"""The Iceberg catalog for PyIceberg and for Spark, from one configuration."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog_config import CatalogConfig, parse_sql_uri, resolve_catalog
from drls_dagster.lakehouse.catalog_file import take_over_once
from drls_dagster.lakehouse.storage_words import in_words, known_words
from drls_dagster.lakehouse.table_io import opened_by_settings
from drls_dagster.private_home import make_private, private_home
from drls_dagster.settings import Settings, load_settings
from lifecycle.errors import LifecycleError, Unavailable
from lifecycle.outages import is_defect, is_outage
from lifecycle.private_files import private_database

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.catalog.sql import SqlCatalog
    from sqlalchemy import Select

    from lifecycle.store.kept import Kept

BUSY_SECONDS = 60
_CONNECT_SECONDS = 10
_OUTAGES = {"botocore.exceptions.HTTPClientError", "thrift.transport.TTransport.TTransportException"}
_JAVA_NAMES = {
    "s3.region": "client.region",
    "glue.region": "client.region",
    "client.access-key-id": "s3.access-key-id",
    "client.secret-access-key": "s3.secret-access-key",
    "client.session-token": "s3.session-token",
}


def load_catalog(settings: Settings | None = None) -> Catalog:
    """The Iceberg catalog of the settings (default: those of DRLS_HOME), ready for use.

    The default needs no service: SQLite and a warehouse folder, created at first use. Within a process, the same
    settings give the same object. Raises CatalogFailed if the catalog cannot be reached, and CatalogFault if its
    settings are wrong; the message contains no credential.
    """
    settings = settings or load_settings()
    take_over_once(settings.home)
    config = resolve_catalog(settings)
    if any(str(settings.home) in (place or "") for place in (config.uri, config.warehouse)):
        private_home(settings.home)
    with catalog_errors(config):
        # A forked process must not share its parent's database connections.
        return _load(config, os.getpid())


class CatalogFailed(Unavailable):
    """The catalog, or the storage behind it, does not answer; one line, without credentials."""

    code = "catalog"


class CatalogFault(LifecycleError):
    """The catalog answers, and what it says cannot be worked with: a setting, a right, a broken table."""

    status = 502
    code = "catalog_fault"


@contextmanager
def catalog_errors(config: CatalogConfig) -> Iterator[None]:
    """Turn what a catalog client raises into one line without any credential: CatalogFailed for an outage,
    else CatalogFault. An error of DRLS stays what it is, and a defect in the code shows as one.
    """
    try:
        yield
    except DrlsError:
        raise
    except Exception as error:
        # A cause is printed with the error, and so are its own causes.
        texts = "".join(format_exception(error))
        is_clean = config.without_secrets(texts) == texts
        if is_defect(error) and is_clean:
            raise
        reason = config.for_people(in_words(error))
        where = config.for_people(config.uri or config.protocol)
        kind = CatalogFailed if _is_outage(error) else CatalogFault
        told = reason if known_words(error) else f"the catalog {config.name!r} at {where} failed: {reason}"
        raise kind(told) from (error if is_clean else None)


def _is_outage(error: Exception) -> bool:
    from pyiceberg.exceptions import CommitStateUnknownException, ServerError, ServiceUnavailableError

    if isinstance(error, (CommitStateUnknownException, ServerError, ServiceUnavailableError)):
        return True
    # Clients that are installed only where they are needed: AWS's, and Hive's.
    names = {f"{one.__module__}.{one.__name__}" for one in type(error).__mro__}
    return is_outage(error) or bool(names & _OUTAGES)


def spark_catalog_conf(settings: Settings) -> dict[str, str]:
    """The Spark settings under which Spark sees the same catalog, by the same name.

    Credentials are among the values: hand them to Spark only.
    """
    config = resolve_catalog(settings)
    properties = {**_spark_connection(config), **_spark_properties(config)}
    if config.warehouse:
        properties["warehouse"] = config.warehouse
    # D1: with Iceberg's cache Spark does not see commits of other clients.
    properties["cache-enabled"] = "false"
    prefix = f"spark.sql.catalog.{config.name}"
    return {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        # Spark's own pattern misses access-key-id and credential, and its UI shows all settings.
        "spark.redaction.regex": "(?i)secret|password|passwd|token|access[.-]?key|credential",
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        **{f"{prefix}.{name}": value for name, value in properties.items()},
    }


@lru_cache(maxsize=8)
def _load(config: CatalogConfig, _process: int) -> Catalog:
    from pyiceberg.catalog import AVAILABLE_CATALOGS, CatalogType

    properties = dict(config.properties)
    if config.warehouse:
        properties["warehouse"] = config.warehouse
        if config.protocol == "sql" and config.warehouse.startswith("file://"):
            make_private(Path(config.warehouse.removeprefix("file://")))
            properties.setdefault("py-io-impl", "drls_dagster.lakehouse.warehouse_io.WarehouseFileIO")
    if config.protocol == "sql":
        return opened_by_settings(_load_sql(config, properties))
    if config.uri:
        properties["uri"] = config.uri
    # Not pyiceberg's load_catalog: it mixes in ~/.pyiceberg.yaml, which Spark would not see.
    return opened_by_settings(AVAILABLE_CATALOGS[CatalogType(config.protocol)](config.name, properties))


def _load_sql(config: CatalogConfig, properties: dict[str, str]) -> Catalog:
    from pyiceberg.catalog.sql import SqlCatalog
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    url = parse_sql_uri(config.uri or "")
    if url.drivername == "sqlite":
        from filelock import FileLock

        from lifecycle.store.engine import keep_to_file

        file = _private_file(config)
        url = url.update_query_dict({"timeout": str(BUSY_SECONDS)})
        with FileLock(f"{file}.lock", timeout=BUSY_SECONDS):
            _use_write_ahead_log(file)
            # The engine can change this folder: only what was looked at gets tables.
            catalog = SqlCatalog(config.name, **properties, uri=url.render_as_string(), init_catalog_tables="false")
            keep_to_file(catalog.engine, file)
            catalog.engine.dispose()
            catalog.create_tables()
            return catalog
    # SQLAlchemy's default PostgreSQL driver is psycopg 3, which is not installed.
    url = url.set(drivername="postgresql+psycopg2", username=config.user, password=config.password)
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    everything = {"pool_pre_ping": "true", **properties, "uri": url.render_as_string(hide_password=False)}
    try:
        catalog = SqlCatalog(config.name, **everything)
    except (IntegrityError, ProgrammingError):
        # Another process made the catalog's tables in the same moment.
        catalog = SqlCatalog(config.name, **everything)
    # The properties travel on to every table's file access; the password need not.
    catalog.properties["uri"] = config.uri or ""
    return catalog


def catalog_locations(settings: Settings) -> Mapping[str, str] | None:
    """By table, the place of its current metadata; None for a catalog that cannot tell all at once."""
    catalog = load_catalog(settings)
    from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
    from sqlalchemy import select

    if not isinstance(catalog, SqlCatalog):
        return None
    query = select(IcebergTables.table_namespace, IcebergTables.table_name, IcebergTables.metadata_location)
    with catalog_errors(resolve_catalog(settings)), catalog.engine.connect() as connection:
        rows = connection.execute(query.where(IcebergTables.catalog_name == catalog.name)).all()
    return {f"{namespace}.{name}": location or "" for namespace, name, location in rows}


def metadata_location(catalog: Catalog, table: tuple[str, ...]) -> str | None:
    """The place of a table's current metadata, which is not read; None for a catalog that does not say it alone.

    Raises NoSuchTableError.
    """
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import NoSuchTableError

    if not isinstance(catalog, SqlCatalog):
        return None
    found = _kept_locations(catalog).get(table, datetime.min, lambda: (_location_of(catalog, table), datetime.max))
    if found is None:
        raise NoSuchTableError(f"Table does not exist: {'.'.join(table)}")
    return found


@lru_cache(maxsize=8)
def _kept_locations(catalog: SqlCatalog) -> Kept:
    """By table, until anybody commits to the catalog's SQLite file; of PostgreSQL nothing is kept."""
    from lifecycle.store.kept import Kept

    return Kept(catalog.engine)


def _location_of(catalog: SqlCatalog, table: tuple[str, ...]) -> str | None:
    *namespace, name = table
    with catalog.engine.connect() as connection:
        given = {"namespace": ".".join(namespace), "name": name}
        return connection.execute(_metadata_locations(catalog), given).scalar_one_or_none()


@lru_cache(maxsize=8)
def _metadata_locations(catalog: SqlCatalog) -> Select[str | None]:
    """The statement for one table: to make it takes longer than to run it."""
    from pyiceberg.catalog.sql import IcebergTables
    from sqlalchemy import bindparam, select

    query = select(IcebergTables.metadata_location).where(
        IcebergTables.catalog_name == catalog.name,
        IcebergTables.table_namespace == bindparam("namespace"),
        IcebergTables.table_name == bindparam("name"),
    )
    tables = catalog._iceberg_type_filter()
    return query if tables is None else query.where(tables)


def close_to_others(settings: Settings) -> None:
    """Makes a SQLite catalog readable by its owner alone, before a client opens it that knows nothing of modes."""
    take_over_once(settings.home)
    config = resolve_catalog(settings)
    if config.protocol == "sql" and parse_sql_uri(config.uri or "").drivername == "sqlite":
        _private_file(config)


def _private_file(config: CatalogConfig) -> Path:
    file = Path(parse_sql_uri(config.uri or "").database or "")
    make_private(file.parent)
    private_database(file)
    return file


def _use_write_ahead_log(file: Path) -> None:
    from lifecycle.store.engine import require_opened

    # Readers and one writer then do not block each other; the mode stays with the file.
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
        require_opened(connection, file)
        connection.execute("PRAGMA journal_mode=WAL")


def _spark_connection(config: CatalogConfig) -> dict[str, str]:
    if config.protocol != "sql":
        return {"type": config.protocol} | ({"uri": config.uri} if config.uri else {})
    url = parse_sql_uri(config.uri or "")
    common = {"catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", "jdbc.schema-version": "V1"}
    if url.drivername == "sqlite":
        busy = str(BUSY_SECONDS * 1000)
        return {**common, "uri": f"jdbc:sqlite:{url.database}", "jdbc.busy_timeout": busy}
    where = f"{url.host or 'localhost'}:{url.port or 5432}"
    credentials = {"jdbc.user": config.user, "jdbc.password": config.password}
    tls = {f"jdbc.{name}": str(value) for name, value in url.query.items() if name.startswith("ssl")}
    given = {name: value for name, value in credentials.items() if value}
    return {**common, "uri": f"jdbc:postgresql://{where}/{url.database}", **tls, **given}


def _spark_properties(config: CatalogConfig) -> dict[str, str]:
    """PyIceberg's property names in Iceberg Java's words; names that both know stay."""
    properties = dict(config.properties)
    for theirs, ours in _JAVA_NAMES.items():
        if theirs in properties:
            properties.setdefault(ours, properties.pop(theirs))
    virtual = properties.pop("s3.force-virtual-addressing", None)
    if virtual is not None:
        properties.setdefault("s3.path-style-access", "false" if virtual.lower() == "true" else "true")
    elif "s3.endpoint" in properties:
        # PyIceberg's default with a custom endpoint, and what such servers expect.
        properties.setdefault("s3.path-style-access", "true")
    if "s3.endpoint" in properties and "AWS_REGION" not in os.environ:
        # Java's client refuses to start without a region, even where the server has none.
        properties.setdefault("client.region", "us-east-1")
    # Catalogs of the REST kind choose the file access by the scheme; these two would take Hadoop's.
    if config.protocol in {"sql", "hive"} and (config.warehouse or "").startswith(("s3:", "s3a:", "s3n:")):
        properties.setdefault("io-impl", "org.apache.iceberg.aws.s3.S3FileIO")
    return properties
