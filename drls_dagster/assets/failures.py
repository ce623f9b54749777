"""What a failed step says in Dagster: one line for people, and whether a retry could help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from drls_dagster.dagster_private.errors import DagsterUserCodeProcessError, SerializableErrorInfo
from drls_dagster.engine.client import EngineError
from drls_dagster.engine.spark_errors import explain
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.storage_words import in_words, is_of_storage
from lifecycle.outages import is_outage


class _Told(DagsterUserCodeProcessError):
    """An error that is already explained: Dagster logs that explanation and no stack of its own."""

    def __init__(self, text: str) -> None:
        info = SerializableErrorInfo(text, [], DrlsError.__name__)
        super().__init__(text, user_code_process_error_infos=[info])


class ToldFailure(dg.Failure, _Told):
    """A failure whose message says all there is to say: a stack trace would only hide it."""


@contextmanager
def as_failure(node_id: str, sql: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns DRLS's and Spark's errors into `dg.Failure`. What repeats itself is not tried again.

    `sql` has the SQL of the nodes that the step reads, by their ids: it tells which of them Spark means.
    """
    from pyspark.errors import AnalysisException, ParseException, PySparkException

    try:
        yield
    except (EngineError, CommitConflictError) as error:
        raise dg.Failure(str(error)) from error
    except DrlsError as error:
        raise ToldFailure(str(error), allow_retries=is_outage(error)) from None
    except (AnalysisException, ParseException) as error:
        raise dg.Failure(explain(error, node_id, sql), allow_retries=False) from error
    except PySparkException as error:
        raise dg.Failure(explain(error, node_id, sql)) from error
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise dg.Failure(f"node '{node_id}': {in_words(error)}") from error
