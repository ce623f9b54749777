"""DRLS's settings.

One file, `DRLS_HOME/drls.toml`; environment variables override it (`DRLS_ENGINE__CORES=4`).
Secrets come only from environment variables or files that the settings name.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from drls_dagster.agent_settings import AgentSettings
from drls_dagster.connections.settings import AnyConnection
from drls_dagster.errors import UsageError
from drls_dagster.home import home_folder
from drls_dagster.maintenance_settings import MaintenanceSettings
from drls_dagster.notebook_settings import NotebookSettings
from drls_dagster.private_home import refuse_planted_home
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from lifecycle.domain.data_diff import DiffLimits

CatalogType = Literal["sql", "rest", "hive", "glue", "nessie", "polaris"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CatalogSettings(_Section):
    """The Iceberg catalog, for PyIceberg and Spark."""

    name: str = Field(default="lake", pattern=r"^[a-z][a-z0-9_]*$", description="The catalog's name in Spark SQL")
    type: CatalogType = Field(default="sql", description="Kind of catalog")
    uri: str | None = Field(
        default=None, repr=False, description="Address of the catalog; default: SQLite at DRLS_HOME/catalog/catalog.db"
    )
    warehouse: str | None = Field(
        default=None,
        description="Folder or bucket of the tables, or the catalog's own name; default: DRLS_HOME/warehouse",
    )
    properties: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Further properties, with PyIceberg's names; no credentials"
    )
    secrets: dict[str, str] = Field(
        default_factory=dict,
        description="Where to read each credential from: property name -> `env:NAME` or `file:/path`",
    )


class EngineSettings(_Section):
    """Spark on Ray. The default fits 2 cores and 4 GB."""

    executors: int = Field(default=1, ge=1, description="Number of Spark executors")
    cores: int = Field(default=2, ge=1, description="Cores of one executor")
    memory: str = Field(default="1g", pattern=r"^[1-9][0-9]*[mg]$", description="Heap of one executor")
    driver_memory: str = Field(default="768m", pattern=r"^[1-9][0-9]*[mg]$", description="Heap of the Spark driver")
    object_store_memory: str = Field(
        default="512m", pattern=r"^[1-9][0-9]*[mg]$", description="Size of Ray's object store"
    )
    ray_address: str | None = Field(
        default=None, description="Address of an existing Ray cluster; `RAY_ADDRESS` does the same"
    )
    spark_connect: str | None = Field(
        default=None, description="An existing Spark Connect endpoint to use instead, `sc://…`", repr=False
    )
    idle_minutes: float = Field(default=30, gt=0, description="Minutes without use after which the engine stops")
    start_seconds: float = Field(default=300, gt=0, description="Seconds that a cold start may take")
    maven_mirror: str | None = Field(default=None, description="Where to download jars from, instead of Maven Central")
    staging: str | None = Field(default=None, description="Folder that Spark and Ray share; default: DRLS_HOME/staging")
    spark_conf: dict[str, str] = Field(
        default_factory=dict, description="Further Spark settings; they override those of DRLS"
    )


def memory_bytes(text: str) -> int:
    """What a setting such as `512m` or `2g` says, in bytes."""
    return int(text[:-1]) * {"m": 2**20, "g": 2**30}[text[-1]]


class FenceSettings(_Section):
    """What confines the code that pipelines bring."""

    mode: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="`auto`: wherever the system allows it; `required`: run nothing without it; `off`: pipeline code "
        "acts as the account that runs DRLS",
    )
    read: tuple[str, ...] = Field(default=(), description="Further folders and files that pipeline code can read")
    write: tuple[str, ...] = Field(default=(), description="Further folders that pipeline code can change")
    network: Literal["open", "listed", "none"] = Field(
        default="open", description="Network of pipeline code: `open`, only TCP to the ports `listed`, or `none`"
    )
    ports: tuple[int, ...] = Field(default=(), description="TCP ports that pipeline code can reach when listed")
    environment: tuple[str, ...] = Field(
        default=(), description="Further environment variables that pipeline code gets, by name"
    )
    account: str | None = Field(
        default=None,
        description="Where root runs DRLS: the account, by name or number, that pipeline code runs as inside its fence",
    )

    @field_validator("account", mode="before")
    @classmethod
    def _by_number(cls, given: object) -> object:
        return str(given) if type(given) is int else given

    @model_validator(mode="after")
    def _needs_the_fence(self) -> FenceSettings:
        if self.account is not None and self.mode == "off":
            raise ValueError("account needs the fence, and mode is off: remove one of them")
        return self


class LifecycleSettings(_Section):
    """The store of versions, approvals and the audit log."""

    url: str | None = Field(
        default=None, repr=False, description="SQLAlchemy URL of the store; default: SQLite at DRLS_HOME/lifecycle.db"
    )


class LedgerSettings(_Section):
    """How machines that share a ledger learn that a run's process is gone; in its own home the process list says it."""

    heartbeat_seconds: float = Field(default=10, gt=0, description="How often a run's process says that it lives")
    dead_seconds: float = Field(
        default=300, gt=0, description="How long after its last heartbeat others take it for dead"
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> LedgerSettings:
        if self.dead_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("dead_seconds must be at least three times heartbeat_seconds")
        return self


class OidcSettings(_Section):
    """Sign-in to `drls serve` at an OpenID Connect provider, in addition to local accounts."""

    issuer: str = Field(description="The provider, exactly as in its discovery document")
    client_id: str = Field(description="Client ID that the provider gave to DRLS")
    client_secret: str | None = Field(
        default=None, repr=False, description="Client secret, `env:NAME` or `file:/path`; empty for a public client"
    )
    public_url: str = Field(description="Address of this server for browsers, `https://…`")
    accounts: Literal["known", "link", "create"] = Field(
        default="known",
        description="Who may sign in: linked accounts; also those with the same verified address; also new people",
    )


class NotifySettings(_Section):
    """How notifications are sent. The settings page and `PUT /api/config` say to whom."""

    webhook_secret: str | None = Field(
        default=None,
        repr=False,
        description="Secret that signs webhooks, `env:NAME` or `file:/path`; default: DRLS_HOME/webhook-secret",
    )
    smtp_host: str | None = Field(default=None, description="Mail server; without it, DRLS sends no e-mail")
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="Port of the mail server")
    smtp_sender: str = Field(default="drls@localhost", description="Sender of e-mails")
    smtp_user: str | None = Field(default=None, description="User at the mail server")
    smtp_password: str | None = Field(
        default=None, repr=False, description="Password at the mail server, `env:NAME` or `file:/path`"
    )
    smtp_starttls: bool = Field(default=True, description="Whether to encrypt the connection with STARTTLS")


class DataDiffSettings(_Section):
    """Limits for comparing the data of two snapshots. Above those of a side, rows are sampled."""

    rows: int = Field(default=2_000_000, ge=1_000, description="Most rows to compare on one side")
    megabytes: int = Field(default=500, ge=1, description="Most megabytes of data files to compare on one side")
    seconds: float = Field(default=600, gt=0, description="Seconds after which a comparison is stopped")
    memory: str = Field(
        default="1GB", pattern=r"^[1-9][0-9]*[MG]B$", description="Memory of DuckDB; it spills to disk above that"
    )

    @property
    def limits(self) -> DiffLimits:
        from lifecycle.domain.data_diff import DiffLimits

        return DiffLimits(rows=self.rows, bytes=self.megabytes * 1_000_000, seconds=self.seconds)


class TablesSettings(_Section):
    """Limits for reading tables: previews, queries, statistics."""

    query_seconds: float = Field(default=60, gt=0, le=600, description="Seconds after which any query is stopped")
    query_memory: str = Field(
        default="1GB",
        pattern=r"^[1-9][0-9]{0,5}[MG]B$",
        description="Memory of a query; it spills to disk above that",
    )


def _absolute_roots(roots: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Folders of this machine as paths, also those that were given as `file:` URIs; the others as they are."""
    if roots is None:
        return None
    found: list[str] = []
    for root in roots:
        local = re.sub(r"^file:(?://(?:localhost)?)?(?=/(?!/))", "", root, flags=re.IGNORECASE)
        if not re.match(r"/|~|(?!file:)[A-Za-z][A-Za-z0-9+.-]*://[^/]", local):
            raise ValueError(f"{root!r} is neither an absolute folder nor a URI such as s3://bucket/folder/")
        found.append(local if local == root else unquote(local))
    return tuple(found)


class SourcesSettings(_Section):
    """What file sources may read. Everything else is refused, also through links and `..`."""

    roots: tuple[str, ...] = Field(
        default=(),
        description="Folders and buckets that file sources may name in addition to `landing`, such as "
        '`["/data/reference", "s3://bucket/folder/"]`',
    )

    _absolute = field_validator("roots")(_absolute_roots)


class EnvironmentSettings(_Section):
    """Settings of one environment."""

    landing: str | None = Field(
        default=None, description="Folder or bucket of relative source paths in this environment"
    )
    roots: tuple[str, ...] | None = Field(
        default=None, description="What file sources may name in this environment, instead of `sources.roots`"
    )
    connections: dict[str, AnyConnection] = Field(
        default_factory=dict, description="Connections of this environment, instead of those of the same names"
    )

    _absolute = field_validator("roots")(_absolute_roots)


class WebSettings(_Section):
    """The web server of `drls up` and `drls serve`. Both speak HTTP, on 127.0.0.1 unless --host says otherwise."""

    port: int = Field(default=3000, ge=1, le=65_535, description="Port of `drls up`; `drls serve` has --port")
    hosts: tuple[str, ...] = Field(
        default=(), description="Further host names to answer to, such as that of a TLS proxy in front"
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses or networks of proxies in front; only their headers say who the client is",
    )
    forwarded: Literal["x-forwarded", "forwarded"] = Field(
        default="x-forwarded",
        description="Headers that these proxies set: X-Forwarded-For and X-Forwarded-Proto, or Forwarded (RFC 7239)",
    )
    dagster_for_all: bool = Field(
        default=False,
        description="Whether a role on one pipeline opens the code, runs and logs of all pipelines in Dagster",
    )
    dagster_beside: bool = Field(
        default=False,
        description="Whether pages of `drls serve` link to /dagster: a proxy in front sends it to a `drls up` that "
        "shares the store",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError(f"{one!r} is neither an address nor a network such as 10.0.0.0/8") from None
        return given


class LogSettings(_Section):
    """What the processes of `drls up` and `drls serve` write to their logs."""

    format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or `json`: one object per line, with the id of the request"
    )


class MetricsSettings(_Section):
    """What Prometheus reads at /metrics of `drls up` and `drls serve`: numbers, without names of people and tables."""

    token: str | None = Field(
        default=None,
        repr=False,
        description="Token that Prometheus shows, `env:NAME` or `file:/path`; without one, there is no /metrics",
    )


class TracesSettings(_Section):
    """Traces for OpenTelemetry: from a request to the published snapshot, with names and numbers, no data."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?$",
        description="Who takes them over OTLP/HTTP, such as `http://127.0.0.1:4318`; without it, there are none",
    )


class McpSettings(_Section):
    """The MCP server, through which agents act for people. `drls up` has it at /mcp, `drls mcp --http` on a port."""

    port: int = Field(default=8100, ge=1, le=65_535, description="Port of `drls mcp --http`")
    requests_per_minute: int = Field(default=600, ge=1, description="Requests per minute and token, in the long run")
    burst: int = Field(default=60, ge=1, description="Requests of a token that may come at once")
    plain_http: bool = Field(
        default=False,
        description="Whether `drls mcp --http` may listen beyond this machine without TLS; for a TLS proxy in front",
    )


class Settings(BaseSettings):
    """The settings of one DRLS_HOME. Read them with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="DRLS_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    home: Path = Field(description="Folder for everything that DRLS keeps; default: ~/.drls")
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s@]+(/[^\s@]*)?$",
        description="A DRLS server to send commands to, instead of the local store",
    )
    app_url: str = Field(
        default="http://127.0.0.1:3000",
        pattern=r"^https?://[^/\s@]+(/[^\s@]*)?$",
        description="Address at which people open DRLS, for links",
    )
    insecure_http: bool = Field(
        default=False,
        description="Whether `url` may be http:// to another machine, which exposes the token to the network",
    )
    pipelines: Path | None = Field(default=None, description="Folder of pipeline files; default: DRLS_HOME/pipelines")
    landing: str | None = Field(
        default=None, description="Folder or bucket of relative source paths; default: DRLS_HOME/landing"
    )
    catalog: CatalogSettings = CatalogSettings()
    engine: EngineSettings = EngineSettings()
    fence: FenceSettings = FenceSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    ledger: LedgerSettings = LedgerSettings()
    sources: SourcesSettings = SourcesSettings()
    web: WebSettings = WebSettings()
    mcp: McpSettings = McpSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()
    log: LogSettings = LogSettings()
    notify: NotifySettings = NotifySettings()
    data_diff: DataDiffSettings = DataDiffSettings()
    tables: TablesSettings = TablesSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    oidc: OidcSettings | None = None
    agent: AgentSettings = AgentSettings()
    notebook: NotebookSettings = NotebookSettings()
    connections: dict[str, AnyConnection] = Field(default_factory=dict)
    environments: dict[str, EnvironmentSettings] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    def landing_for(self, environment: Environment) -> str:
        """The folder or URI at which relative source paths of an environment start."""
        own = self.environments.get(environment)
        return (own and own.landing) or self.landing or str(self.home / "landing")

    def roots_for(self, environment: Environment) -> tuple[str, ...]:
        """The folders and buckets that file sources of an environment may name besides landing."""
        own = self.environments.get(environment)
        return self.sources.roots if own is None or own.roots is None else own.roots

    def connection_for(self, environment: Environment, name: str) -> AnyConnection | None:
        """The connection that a name means in an environment; None where the settings have none of that name."""
        own = self.environments.get(environment)
        return (own.connections.get(name) if own is not None else None) or self.connections.get(name)

    @property
    def all_connections(self) -> tuple[AnyConnection, ...]:
        """Those of all environments."""
        own = (each for one in self.environments.values() for each in one.connections.values())
        return (*self.connections.values(), *own)

    @property
    def staging(self) -> str:
        return self.engine.staging or str(self.home / "staging")

    @property
    def pipeline_folder(self) -> Path:
        """The configured folder; before anyone has made it, the examples that come with DRLS."""
        folder = self.pipelines or self.home / "pipelines"
        return folder if self.pipelines or folder.is_dir() else examples_folder()


def examples_folder() -> Path:
    """The example pipelines: inside the installed package, or next to it in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "examples" if (here / "examples").is_dir() else here.parent / "examples"


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings of `home` (default: DRLS_HOME).

    Raises UsageError, which names the file and field, if a value is wrong.
    """
    return _load(home or home_folder())


def reload_settings(home: Path) -> Settings:
    """The same, after this process has changed the file."""
    _load.cache_clear()
    return _load(home)


@lru_cache(maxsize=8)
def _load(home: Path) -> Settings:
    file = home / "drls.toml"
    refuse_planted_home(home)
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text()) if file.is_file() else {}
        # The variable DRLS_HOME would win over the home that the caller named.
        return Settings(**{**values, "home": home}).model_copy(update={"home": home})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from None
    except SettingsError:
        raise UsageError(
            "an environment variable DRLS_… that holds a list or a table is not JSON; write it as in "
            "DRLS_FENCE__READ='[\"/data/models\"]'"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        parts = [str(part) for part in first["loc"]]
        if "connections" in parts:
            kind = parts.index("connections") + 2
            del parts[kind : kind + 1]  # pydantic names there which kind of connection it took it for
        where = ".".join(parts)
        told = f"{where}: {first['msg']}"
        if first["type"] in {"int_parsing", "int_type", "float_parsing", "float_type"}:
            told = f"{where} must be a number, not {error.errors(include_url=False)[0]['input']!r}"
        raise UsageError(f"{file} or DRLS_{where.upper().replace('.', '__')}: {told}") from None
