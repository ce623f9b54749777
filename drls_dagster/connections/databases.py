"""The databases that DRLS knows: their driver, how their URL is written, and the options that a connection may have.

Drivers have options that load a class, read a file or run a script (`socketFactory`, `autoDeserialize`,
`allowLoadLocalInfile`, `loggerFile`, …), and new ones with each release. So DRLS takes those on a list and no others,
and a URL names a host, a port and a database and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
_DATABASE = r"(?P<database>[A-Za-z0-9_](?:[A-Za-z0-9_$ .-]*[A-Za-z0-9_$])?)"
_VALUE = re.compile(r"[A-Za-z0-9_ .,:/+*@=-]{0,500}")


@dataclass(frozen=True)
class Database:
    """One kind of database. `fixed` are options that DRLS sets; each connection begins with the statement `first`."""

    name: str
    label: str
    driver: str
    jar: str  # Maven coordinate
    url: str  # a regular expression: host, port, database
    example: str
    port: int
    dialect: str  # as sqlglot calls it
    quotes: str  # around a name: the character before it, and the one after
    options: frozenset[str]
    files: frozenset[str] = frozenset()  # the options among them that name a file
    fixed: Mapping[str, str] = field(default_factory=dict)
    first: str | None = None
    loose_decimal: tuple[int, int] | None = None  # what Spark makes of a decimal without precision, cutting digits

    def quoted(self, name: str) -> str:
        """A column's name as SQL."""
        before, after = self.quotes
        return f"{before}{name.replace(after, after * 2)}{after}"


@dataclass(frozen=True)
class Address:
    """Where a URL leads."""

    host: str
    port: int
    database: str


POSTGRESQL = Database(
    name="postgresql",
    label="PostgreSQL",
    driver="org.postgresql.Driver",
    jar="org.postgresql:postgresql:42.7.7",
    url=rf"jdbc:postgresql://{_HOST}/{_DATABASE}",
    example="jdbc:postgresql://host:5432/database",
    port=5432,
    dialect="postgres",
    quotes='""',
    options=frozenset(
        {"sslmode", "sslrootcert", "channelBinding", "gssEncMode", "currentSchema", "ApplicationName", "connectTimeout"}
        | {"loginTimeout", "socketTimeout", "tcpKeepAlive", "targetServerType", "prepareThreshold", "preferQueryMode"}
    ),
    files=frozenset({"sslrootcert"}),
    fixed={"ApplicationName": "DRLS", "tcpKeepAlive": "true", "connectTimeout": "15"},
    # The first statement begins the transaction of the read. UTC, because Spark writes instants without a zone.
    first="SET TRANSACTION READ ONLY; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET TIME ZONE 'UTC'",
    loose_decimal=(38, 18),
)
MYSQL = Database(
    name="mysql",
    label="MySQL",
    driver="com.mysql.cj.jdbc.Driver",
    jar="com.mysql:mysql-connector-j:9.4.0",
    url=rf"jdbc:mysql://{_HOST}/{_DATABASE}",
    example="jdbc:mysql://host:3306/database",
    port=3306,
    dialect="mysql",
    quotes="``",
    options=frozenset(
        {"sslMode", "allowPublicKeyRetrieval", "connectTimeout", "socketTimeout", "tcpKeepAlive", "tinyInt1isBit"}
        | {"zeroDateTimeBehavior", "characterEncoding", "connectionCollation", "useCompression"}
    ),
    fixed={
        "allowLoadLocalInfile": "false",
        "allowUrlInLocalInfile": "false",
        "allowMultiQueries": "false",
        "autoDeserialize": "false",
        "connectTimeout": "15000",
        "connectionTimeZone": "UTC",
        "forceConnectionTimeZoneToSession": "true",
        "useCursorFetch": "true",
    },
    first="SET SESSION TRANSACTION READ ONLY",
)
SQLSERVER = Database(
    name="sqlserver",
    label="SQL Server",
    driver="com.microsoft.sqlserver.jdbc.SQLServerDriver",
    jar="com.microsoft.sqlserver:mssql-jdbc:12.10.1.jre11",
    url=rf"jdbc:sqlserver://{_HOST};databaseName={_DATABASE}",
    example="jdbc:sqlserver://host:1433;databaseName=database",
    port=1433,
    dialect="tsql",
    quotes="[]",
    options=frozenset(
        {"encrypt", "trustServerCertificate", "hostNameInCertificate", "applicationName", "applicationIntent"}
        | {"multiSubnetFailover", "loginTimeout", "socketTimeout", "queryTimeout", "instanceName"}
    ),
    fixed={"applicationName": "DRLS", "applicationIntent": "ReadOnly"},
)
ORACLE = Database(
    name="oracle",
    label="Oracle",
    driver="oracle.jdbc.OracleDriver",
    jar="com.oracle.database.jdbc:ojdbc11:23.9.0.25.07",
    url=rf"jdbc:oracle:thin:@//{_HOST}/{_DATABASE}",
    example="jdbc:oracle:thin:@//host:1521/service",
    port=1521,
    dialect="oracle",
    quotes='""',
    options=frozenset(
        {"oracle.net.CONNECT_TIMEOUT", "oracle.jdbc.ReadTimeout", "oracle.net.encryption_client"}
        | {"oracle.net.crypto_checksum_client", "oracle.net.ssl_server_dn_match"}
    ),
    loose_decimal=(38, 10),
)
DATABASES: Mapping[str, Database] = {one.name: one for one in (POSTGRESQL, MYSQL, SQLSERVER, ORACLE)}


def address_of(database: Database, url: str) -> Address:
    """Where the URL leads. Raises ValueError for one with anything else in it, such as options or a password."""
    found = re.fullmatch(database.url, url)
    if found is None:
        raise ValueError(
            f"the url must be written as {database.example}; set user and password of their own, and the driver's "
            "settings as options"
        )
    port = int(found["port"] or database.port)
    if not 0 < port < 65_536:
        raise ValueError(f"the url has the port {port}; ports are 1 to 65535")
    return Address(found["host"].lower(), port, found["database"])


def refuse_options(database: Database, options: Mapping[str, str]) -> None:
    """Raises ValueError for an option that is not on the list, or whose value is no plain text."""
    for name, value in options.items():
        if name not in database.options:
            known = ", ".join(sorted(database.options))
            raise ValueError(
                f"the option '{name[:40]}' of {database.label} is not allowed, because options of drivers can load "
                f"classes and files or run scripts; allowed are {known}"
            )
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the option '{name}' has a value with characters that no option needs")
        if name in database.files and not value.startswith("/"):
            raise ValueError(f"the option '{name}' names a file; write its absolute path")
