"""The source text of a function, as a pipeline file holds it."""

from __future__ import annotations

import builtins
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from drls_dagster.errors import UsageError


def source_text(function: Callable[..., Any], name: str) -> str:
    """The text of a module that defines `function` under `name`.

    Raises UsageError where the text alone would not run: the function uses names of its module, or its text is unknown.
    """
    called = getattr(function, "__name__", repr(function))
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or called == "<lambda>":
        raise UsageError(f"{called} is not a function with a name; write it with def, or pass 'module:function'")
    outside = [*code.co_freevars, *sorted(set(_globals(code)) - set(dir(builtins)))]
    if outside:
        raise UsageError(
            f"{called}() uses {outside[0]!r} of its module, which the pipeline would not have; import or define it "
            "inside the function, or pass 'module:function'"
        )
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise UsageError(f"the source text of {called}() cannot be found; pass it as text") from None
    head = f"def {called}("
    if not text.startswith(head):
        raise UsageError(f"{called}() has decorators or is not a plain function; pass 'module:function'")
    text = f"def {name}({text.removeprefix(head)}"
    if function.__annotations__:  # which name types that the text does not import
        return f"from __future__ import annotations\n\n\n{text}"
    return text


def _globals(code: CodeType) -> Iterator[str]:
    """The global names that the code and the functions in it read."""
    for one in dis.get_instructions(code):
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(one.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner)
