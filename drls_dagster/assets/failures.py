"""What a failed step says in Dagster: one line for people, and whether a retry could help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from drls_dagster.engine.client import EngineError
from drls_dagster.engine.session import first_line
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.commit import CommitConflictError


@contextmanager
def as_failure(node_id: str) -> Iterator[None]:
    """Turns DRLS's and Spark's errors into `dg.Failure`. What repeats itself is not tried again."""
    from pyspark.errors import AnalysisException, ParseException, PySparkException

    try:
        yield
    except (EngineError, CommitConflictError) as error:
        raise dg.Failure(str(error)) from error
    except DrlsError as error:
        # Says all there is to say: a chain of tracebacks would only hide it.
        raise dg.Failure(str(error), allow_retries=False) from None
    except (AnalysisException, ParseException) as error:
        raise dg.Failure(f"node '{node_id}': {first_line(error)}", allow_retries=False) from error
    except PySparkException as error:
        raise dg.Failure(f"node '{node_id}': {first_line(error)}") from error
