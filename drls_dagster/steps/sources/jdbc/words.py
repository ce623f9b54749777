"""What a driver or Spark says of a database, as one line for people."""

from __future__ import annotations

import re

from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.engine.session import first_line

_REFUSED = r"(?i)password authentication failed|access denied for user|login failed for user|ORA-01017|no password was"
_SILENT = (
    r"(?i)connection (?:to \S+ )?refused|connect timed out|UnknownHostException|communications link failure"
    r"|network adapter could not establish|TCP/IP connection to the host|connection attempt failed"
)
_NO_TABLE = (
    r"(?i)relation \"([^\"]+)\" does not exist|Table '([^']+)' doesn't exist|Invalid object name '([^']+)'|ORA-00942"
)
_NO_RIGHT = r"(?i)permission denied for \w+ (\w+)|SELECT command denied|SELECT permission was denied"
# What is found in the text, what it means, what to do. {0} is the pattern's group.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (_REFUSED, "it refuses the user or the password", "correct user and password of the connection"),
    (_SILENT, "it does not answer", "check host and port of the connection, and that this machine may reach it"),
    (r'(?i)database "([^"]+)" does not exist', "there is no database '{0}'", "correct the url of the connection"),
    (_NO_TABLE, "there is no table {0}", "correct its name, with its schema, and let the user see it"),
    (r'(?i)column "([^"]+)" does not exist', "there is no column '{0}'", "correct the query"),
    (_NO_RIGHT, "the user may not read {0}", "grant it SELECT there"),
    (
        r"(?i)cannot execute (.+?) in a read-only transaction",
        "the query would change something ({0}), and DRLS reads in a transaction that cannot",
        "write a query that reads",
    ),
    (
        r"\[UNRECOGNIZED_SQL_TYPE\] Unrecognized SQL type - name: ([^,]+), id: \S+",
        "a column has the type {0}, which Spark cannot read",
        "cast it in a query",
    ),
    (
        r"ClassNotFoundException: (\S+)|No suitable driver",
        "Spark does not have the driver",
        "check driver and jar of the connection, and start the engine again: drls engine stop",
    ),
    (
        r"(?i)numeric field overflow|NUMERIC_VALUE_OUT_OF_RANGE",
        "a number has more digits than its column's type holds",
        "cast it in a query",
    ),
    (r"(?i)ERROR: (syntax error at or near \S+)", "{0}", "correct the query"),
)


def told(error: BaseException, connection: OpenedConnection) -> str:
    """What is wrong and what to do, without the password."""
    text = connection.without_password(str(error))
    for pattern, what, remedy in _KNOWN:
        found = re.search(pattern, text)
        if found:
            group = next((one for one in found.groups() if one), "of that name")
            return f"{what.format(group)}; {remedy}"
    return connection.without_password(first_line(error))
