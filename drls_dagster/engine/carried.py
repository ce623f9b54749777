"""Functions on their way to other processes carry the code that they name.

A worker serves many runs and may have no DRLS. What is pickled for it names modules of `drls_code_<hex>`; their bytes
go along in the same pickle, and the worker makes them importable under that name before it loads the rest.
"""

from __future__ import annotations

import pickle
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from drls_dagster.engine import isolated

_line = threading.Lock()
_EXPRESSION = (
    "(__import__('sys').modules.get(name) or exec(source, space), "
    "space['restore'](*given) if 'restore' in space else __import__('pickle').loads(given[-1]))[1]"
)


class _Carried:
    def __init__(self, package: isolated.Package, inner: bytes) -> None:
        self.package = package
        self.inner = inner

    def __reduce__(self) -> tuple[Any, ...]:
        package = self.package
        given = (package.name, dict(package.files), package.folder, sorted(package.naming), self.inner)
        names: dict[str, Any] = {
            "name": package.name,
            "source": _source(),
            "space": {"__name__": isolated.PREFIX},
            "given": given,
        }
        return eval, (_EXPRESSION, names)


def carry_code() -> None:
    """From now on what this process pickles for Spark carries the code that it names."""
    from pyspark.serializers import CloudPickleSerializer

    with _line:
        plain = CloudPickleSerializer.dumps
        if getattr(plain, "carries_code", False):
            return

        def dumps(self: CloudPickleSerializer, obj: object) -> bytes:
            return carrying(plain(self, obj))

        dumps.carries_code = True  # pyright: ignore[reportFunctionMemberAccess]
        CloudPickleSerializer.dumps = dumps


def carry_code_on_ray() -> None:
    """The same for functions and classes that a step's own code gives to Ray: tasks and actors of tasks."""
    from ray import cloudpickle

    module: Any = cloudpickle
    with _line:
        plain = module.dumps
        if getattr(plain, "carries_code", False):
            return

        def dumps(obj: object, *words: Any, **more: Any) -> bytes:
            pickled = plain(obj, *words, **more)
            # Arguments have buffers besides the pickle; they arrive after the function, which has brought the code.
            return pickled if more.get("buffer_callback") else carrying(pickled)

        dumps.carries_code = True  # pyright: ignore[reportFunctionMemberAccess]
        module.dumps = dumps


def carrying(pickled: bytes) -> bytes:
    """The pickle, with the code of every package of this process that it names around it."""
    if isolated.PREFIX.encode() not in pickled:
        return pickled
    for name, module in list(sys.modules.items()):
        if name.startswith(isolated.PREFIX) and "." not in name and name.encode() in pickled:
            pickled = pickle.dumps(_Carried(module.package, pickled))
    return pickled


@cache
def _source() -> str:
    return Path(isolated.__file__).read_text()
