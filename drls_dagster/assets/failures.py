"""What a failed step says in Dagster: one line for people, and whether a retry could help.

Everyone who may see a run reads it, so it has no path of this server's home and no data. What Spark itself said, which
may quote rows, is in the owner's logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from drls_dagster.dagster_private.errors import DagsterUserCodeProcessError, SerializableErrorInfo
from drls_dagster.engine.client import EngineError
from drls_dagster.engine.command_process import CommandFailed
from drls_dagster.engine.spark_errors import explain
from drls_dagster.errors import DrlsError
from drls_dagster.fences.fences import is_on
from drls_dagster.fences.words import explained
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.storage_words import in_words, is_of_storage
from drls_dagster.logs import note
from drls_dagster.steps.shown import trace_of, without_places
from lifecycle.outages import is_outage

if TYPE_CHECKING:
    from drls_dagster.settings import Settings


class _Told(DagsterUserCodeProcessError):
    """An error that is already explained: Dagster logs that explanation and no stack of its own."""

    def __init__(self, text: str) -> None:
        info = SerializableErrorInfo(text, [], DrlsError.__name__)
        super().__init__(text, user_code_process_error_infos=[info])


class ToldFailure(dg.Failure, _Told):
    """A failure whose message says all there is to say: a stack trace would only hide it."""


def _fences_words(error: Exception, settings: Settings) -> str | None:
    """What the fence refused Spark, where DRLS fences it."""
    return None if settings.engine.spark_connect or not is_on(settings) else explained(str(error))


@contextmanager
def as_failure(node_id: str, settings: Settings, sql: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns DRLS's and Spark's errors into `dg.Failure`. What repeats itself is not tried again.

    `sql` has the SQL of the nodes that the step reads, by their ids: it tells which of them Spark means.
    """
    from pyspark.errors import AnalysisException, ParseException, PySparkException, PythonException

    def failure(text: str, *, retry: bool = True, trace: str | None = None) -> dg.Failure:
        shown = {} if trace is None else {"python": dg.MetadataValue.md(f"```\n{without_places(trace, settings)}\n```")}
        # Dagster never retries an error of its own, which a ToldFailure is.
        kind = dg.Failure if retry else ToldFailure
        return kind(without_places(text, settings), metadata=shown, allow_retries=retry)

    try:
        yield
    except (EngineError, CommitConflictError, CommandFailed) as error:
        raise failure(str(error)) from None
    except DrlsError as error:
        raise failure(str(error), retry=is_outage(error)) from None
    except PySparkException as error:
        note(settings, f"node '{node_id}': {error}")
        lasting = isinstance(error, AnalysisException | ParseException)
        refused = _fences_words(error, settings)
        told = explain(error, node_id, sql)
        if refused is not None:
            told = f"{told}: {refused}" if isinstance(error, PythonException) else f"node '{node_id}': {refused}"
        raise failure(told, retry=not lasting and refused is None, trace=trace_of(error)) from None
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise failure(f"node '{node_id}': {in_words(error)}") from None
