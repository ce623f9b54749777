"""What the process of a run's own Python does: call `transform(spark, …)` with the run's Spark session."""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from drls_dagster.engine.carried import carry_code
from drls_dagster.engine.code_wire import Ended, Message, receive, send
from drls_dagster.engine.connection import Session, connect, make_active
from drls_dagster.engine.python_words import CORRECT
from drls_dagster.engine.sent_frames import number_from, received, sent
from drls_dagster.engine.step_code import CodeChanged, SentCode, load_function, told
from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.dataframe import DataFrame

_REMOTE = "SPARK_CONNECT_MODE_ENABLED"
_LONGEST = 4_000


def work(line: socket.socket, block: int) -> NoReturn:
    """Answer requests until the run ends, then end this process."""
    # `pyspark.sql.functions` and types in text ask which Spark they are for.
    os.environ[_REMOTE] = "1"
    sys.addaudithook(_note)
    number_from(block)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a pipe is not; people follow what long code prints
    host = _Host()
    with contextlib.suppress(Ended):
        send(line, {"ready": True})
        while True:
            said, plans = receive(line)
            answer, blobs = host.answer(said, plans)
            _flush()
            send(line, answer, blobs)
    atexit._run_exitfuncs()  # also the code's own
    _flush()
    os._exit(0)  # Python's own end takes a second after these imports


def _flush() -> None:
    """What the code printed is to be read before the answer is."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the code may have closed it, or put something else there
            stream.flush()


class _Host:
    def __init__(self) -> None:
        self._spark: Session | None = None
        self._results: list[DataFrame] = []  # Spark forgets a checkpoint with its last frame here

    def answer(self, said: dict[str, Any], plans: Sequence[bytes]) -> Message:
        """The step's frame, or what went wrong in words."""
        node = said["node"]
        try:
            spark = self._session(said["session"])
            code = None if said["code"] is None else SentCode(**said["code"])
            if code is not None:
                carry_code()
            function = load_function(said["python"], said["entrypoint"], said["digest"], code, "transform")
            inputs = {
                name: received(spark, view, plan) for (name, view), plan in zip(said["inputs"], plans, strict=True)
            }
            result = function(spark, **inputs)
        except DrlsError as error:
            return {"kind": "changed" if isinstance(error, CodeChanged) else "refused", "error": str(error)}, []
        except BaseException as error:  # noqa: BLE001  whatever the pipeline's own code raises
            return _failed(error, f"transform() of node '{node}' failed")
        return self._frame(node, spark, result)

    def _frame(self, node: str, spark: Session, result: Any) -> Message:
        from pyspark.sql.connect.dataframe import DataFrame

        if not isinstance(result, DataFrame):
            kind = type(result)
            what = f"{kind.__name__}, not a DataFrame; return a DataFrame of Spark"
            if kind.__name__ == "DataFrame":
                library = kind.__module__.partition(".")[0]
                what = f"a DataFrame of {library}, not one of Spark; return spark.createDataFrame(…) of it"
        elif result.sparkSession.session_id != spark.session_id:
            what = "a DataFrame of another Spark session; make it with the session that it is given"
        else:
            self._results.append(result)
            try:
                view, plan = sent(result)
            except BaseException as error:  # noqa: BLE001  the code may have made the plan's classes too
                return _failed(error, f"the DataFrame of node '{node}' cannot be used")
            return {"kind": "frame", "view": view}, [plan]
        return {"kind": "failed", "error": f"transform() of node '{node}' returned {what}"}, []

    def _session(self, said: dict[str, Any]) -> Session:
        spark = self._spark
        if spark is None or spark.session_id != said["id"]:
            if spark is not None:
                spark.client._closed = True  # its engine is gone, and would be waited for
            self._results.clear()
            spark = self._spark = connect(said["url"], said["id"], said["user"])
            # The run's own end frees what Spark holds for it; this process only asks for time.
            atexit.unregister(spark.client._cleanup_ml_cache)
        make_active(spark)
        return spark


_opened: dict[str, bool] = {}  # the last path that Python opened here, and whether to write


def _note(event: str, given: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = given
        _opened.clear()
        _opened[str(path)] = bool(flags & (os.O_WRONLY | os.O_RDWR))


def _failed(error: BaseException, what: str) -> Message:
    """What the code raised. Where a file could not be opened, whether it was to be written; of Spark, what it said."""
    said, remedy = _words(error)
    answer: dict[str, Any] = {"kind": "failed", "error": f"{what}: {said}", "remedy": remedy}
    if _is_sparks(error):
        with contextlib.suppress(Exception):  # the code may have made its class
            answer["spark"] = str(error)[:_LONGEST]
    refused = _refused(error)
    if refused is not None:
        name = os.fsdecode(refused.filename)
        writing = _opened.get(name)
        path = os.path.abspath(name)
        answer |= {"path": path, "writing": _can_be_read(path) if writing is None else writing}
    return answer, []


def _words(error: BaseException) -> tuple[str, str]:
    """What the code raised and what to do; of what Spark says, in our words where there are some."""
    if _is_sparks(error):
        from drls_dagster.engine.spark_errors import known_words

        with contextlib.suppress(Exception):  # the code may have made its class
            words = known_words(error)
            if words is not None:
                return words
    return told(error), CORRECT


def _is_sparks(error: BaseException) -> TypeGuard[PySparkException]:
    from pyspark.errors import PySparkException

    return isinstance(error, PySparkException)


def _refused(error: BaseException | None) -> OSError | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if (
            isinstance(error, OSError)
            and error.errno in (errno.EACCES, errno.EROFS)
            and isinstance(error.filename, str | bytes)
        ):
            return error
        error = error.__cause__ or error.__context__
    return None


def _can_be_read(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
