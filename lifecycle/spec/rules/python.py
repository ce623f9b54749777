"""Inline Python of transforms: it compiles and defines the function the step calls. It is not run here."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from lifecycle.spec.errors import Problem, did_you_mean, shorten
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.steps import AnyTransform

MAX_PYTHON = 100_000
MAX_TOTAL = 1_000_000


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """`process(batch)` for rayProcess, `transform(spark, <upstream ids>)` for spark and sparkStream."""
    texts = {node.id: text for node in spec.transforms if (text := getattr(node, "python", None))}
    if sum(map(len, texts.values())) > MAX_TOTAL:
        message = f"the Python is longer than {MAX_TOTAL} characters in total"
        yield Problem(None, "nodes", message, "move it into a package and name it with entrypoint")
        return
    for node in spec.transforms:
        if node.id in texts:
            yield from _source(spec, node, texts[node.id])


def _source(spec: PipelineSpec, node: AnyTransform, text: str) -> Iterator[Problem]:
    if len(text) > MAX_PYTHON:
        message = f"the Python is longer than {MAX_PYTHON} characters"
        yield Problem(node.id, "python", message, "move it into a package and name it with entrypoint")
        return
    try:
        with warnings.catch_warnings():
            # A doubtful escape in somebody's text is theirs to judge, not a reason to refuse.
            warnings.simplefilter("ignore")
            module = ast.parse(text)
            compile(module, "python", "exec", dont_inherit=True)  # `return` outside a function parses
    except SyntaxError as error:
        message = f"the Python does not compile: {error.msg} (line {error.lineno})"
        yield Problem(node.id, "python", message, "correct it")
        return
    except (ValueError, RecursionError, MemoryError):
        yield Problem(node.id, "python", "the Python does not compile: it is nested too deeply", "simplify it")
        return
    ray = node.step == "rayProcess"
    name = "process" if ray else "transform"
    wanted = ["batch"] if ray else ["spark", *spec.upstream(node.id)]
    form = f"def {name}({', '.join(wanted)})"
    functions = [item for item in module.body if isinstance(item, ast.FunctionDef) and item.name == name]
    if functions:
        yield from _signature(node.id, functions[-1], wanted, form, by_name=not ray)
        return
    late = any(isinstance(item, ast.AsyncFunctionDef) and item.name == name for item in module.body)
    message = f"the Python defines {name} as async" if late else f"the Python does not define the function {name}"
    yield Problem(node.id, "python", message, f"write {form}: …")


def _signature(
    node_id: str, function: ast.FunctionDef, wanted: list[str], form: str, *, by_name: bool
) -> Iterator[Problem]:
    arguments = function.args
    names = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    only_by_name = [item.arg for item in arguments.kwonlyargs]
    optional = set(names[len(names) - len(arguments.defaults) :] if arguments.defaults else [])
    optional |= {name for name, value in zip(only_by_name, arguments.kw_defaults, strict=True) if value is not None}
    if not names and arguments.vararg is None:
        yield Problem(node_id, "python", f"{function.name} takes no {wanted[0]}", f"write {form}: …")
        return
    others = [*names[1:], *only_by_name]
    for name in others:
        if name not in optional and (not by_name or name not in wanted[1:]):
            hint = did_you_mean(name, wanted[1:]) if by_name else None
            message = f"{function.name} has the parameter '{shorten(name)}', which is not an upstream node"
            yield Problem(node_id, "python", message, hint or f"write {form}: …")
    if by_name and arguments.kwarg is None:
        for name in wanted[1:]:
            if name not in others:
                message = f"an edge leads here from '{name}', but {function.name} does not take it"
                yield Problem(node_id, "python", message, f"write {form}: …, or remove the edge")
