"""What the tests of databases work with: the database, as its owner sees it, and sources that read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2
from lab import Node

CANARY = "kanarienvogel-7f3a"  # the password, which must be nowhere but where it is set


def jdbc(node: str, connection: str = "shop", **more: Any) -> Node:
    return {"id": node, "type": "source", "source": {"kind": "jdbc", "connection": connection, **more}}


class Database:
    """The owner's own way into the database that pipelines read."""

    def __init__(self, url: str) -> None:
        self.port, self.name = url.rpartition(":")[2].split("/")
        self._connection = psycopg2.connect(host="127.0.0.1", port=int(self.port), user="drls", dbname=self.name)
        self._connection.autocommit = True

    def do(self, *statements: str) -> None:
        with self._connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def load(self, table: str, file: Path) -> None:
        """Rows of a CSV file with a header."""
        with self._connection.cursor() as cursor, file.open() as rows:
            cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)", rows)

    def close(self) -> None:
        self._connection.close()
