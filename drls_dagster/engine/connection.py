"""A Spark Connect session that ends when we close it, and not when Python collects it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.types import BinaryType, UserDefinedType

# PySpark writes each error to standard error, as pages of JSON, before it raises it.
_LOGS_EVERY_ERROR = ("pyspark.sql.connect.logging", "SQLQueryContextLogger")


class Session(SparkSession):
    """PySpark's own `__del__` closes the client, which waits, under a lock that all sessions of the process
    share, for threads of a pool that they share too. The collector may run it in one of those threads: seen,
    a run that hung for ever when the session of an earlier one was collected.
    """

    def __del__(self) -> None:
        pass


class PythonType(UserDefinedType):
    """Stands for a column type that is a Python class of somebody's. No table can hold it."""

    @classmethod
    def sqlType(cls) -> BinaryType:  # noqa: N802
        return BinaryType()


_load_type: Callable[[dict[str, Any]], UserDefinedType] = UserDefinedType.fromJson


def _known_type(said: dict[str, Any]) -> UserDefinedType:
    return _load_type(said) if str(said.get("pyClass")).startswith("pyspark.ml.linalg.") else PythonType()


def import_no_types() -> None:
    """From now on a frame's schema imports nothing here: a schema names modules, and pipeline code can write one."""
    UserDefinedType.fromJson = staticmethod(_known_type)  # pyright: ignore[reportAttributeAccessIssue]


def connect(url: str, session_id: str, user: str | None = None) -> Session:
    """The session of that id on the server, made there when it is new.

    Sessions of two users are two, even of one id; the default user is the environment's.
    """
    for name in _LOGS_EVERY_ERROR:
        logging.getLogger(name).disabled = True
    separator = "" if url.endswith(";") else ";" if "/;" in url else "/;"
    spark = Session(connection=f"{url}{separator}session_id={session_id}", userId=user)
    # Spark's own policy waits ten minutes for a server that is gone.
    spark.client.set_retry_policies([DefaultPolicy(max_retries=4, max_backoff=2000)])
    return spark


def make_active(spark: SparkSession) -> None:
    """What pipelines' code finds as the active session. Not that of somebody else's which we only interrupt.

    PySpark's own way keeps the first session of a process, also after it was closed.
    """
    SparkSession._default_session = spark
    SparkSession._active_session.session = spark
