"""Text to plain values: YAML or JSON, strictly and within limits.

YAML is read from the parser's events, never composed: no tags, no anchors, no duplicate keys, bounded size
and depth. Booleans and numbers follow YAML 1.2, so that `no` is the country and not false; dates are kept.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime
from typing import Any

import yaml

from lifecycle.spec.errors import Problem, SpecError, shorten
from lifecycle.spec.repeated import repeated
from lifecycle.spec.yaml_words import json_words, line_of, looks_like_json, yaml_words

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 50
MAX_VALUES = 200_000
_MAX_DIGITS = 4000  # Python reads 4300

_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = {"", "~", "null", "Null", "NULL"}
INTEGER = re.compile(r"^[-+]?(0|[1-9][0-9]*)$")
FLOAT = re.compile(r"^[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
TIMESTAMP = re.compile(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?\s*(Z|[-+][0-9]{2}:?[0-9]{2})?)?$"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_text(text: str | bytes) -> dict[str, Any]:
    """The mapping that a pipeline file holds. Raises SpecError naming the line."""
    value = read_value(text)
    if not isinstance(value, dict):
        raise _refused("the file is not a mapping", "start with format_version: 1 and a name")
    return value  # pyright: ignore[reportUnknownVariableType]


def read_value(text: str | bytes) -> Any:
    """What a file of YAML or JSON holds, whatever it is. Raises SpecError where that cannot be read, or is nothing."""
    if len(text) > MAX_BYTES:
        raise _refused("the file is larger than 5 MB", "move data out of the pipeline file")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise _refused("the file is not UTF-8", "save it as UTF-8", line) from None
    text = text.removeprefix("\ufeff")
    value = _read(text)
    if value is None:
        raise _refused("the file is empty", "start with format_version: 1 and a name")
    return value


def _read(text: str) -> Any:
    """JSON is nearly all YAML, which knows the line of each value, but takes ten times as long."""
    refused: SpecError | json.JSONDecodeError | None = None
    if text.lstrip().startswith("{"):
        if text.count(",") + text.count(":") > MAX_VALUES * 2:
            raise _refused(f"the file has more than {MAX_VALUES} values", "split the pipeline")
        try:
            return _read_json(text)
        except json.JSONDecodeError as error:
            refused = error
        except SpecError as error:
            if error.problems[0].field is not None:
                raise
            refused = error
    try:
        value = _read_yaml(text)
    except yaml.YAMLError as error:
        if isinstance(refused, SpecError):
            raise refused from None
        if isinstance(refused, json.JSONDecodeError) and looks_like_json(text):
            line, what, remedy = json_words(refused)
            raise _refused(f"this is not JSON: {what}", remedy, line) from None
        line, what, remedy = yaml_words(text, error)
        raise _refused(f"this is not YAML: {what}", remedy, line) from None
    if isinstance(refused, SpecError):
        raise refused
    return value


def _refused(message: str, remedy: str | None = None, line: int | None = None) -> SpecError:
    return SpecError([Problem(None, f"line {line}" if line else None, message, remedy)])


def _read_json(text: str) -> Any:
    """The value. Raises JSONDecodeError where the text is not JSON and may still be YAML."""

    def refuse(number: str, message: str, remedy: str) -> SpecError:
        return _refused(message, remedy, line_of(text, text.find(number)))

    def whole(number: str) -> int:
        if len(number) > _MAX_DIGITS:
            raise refuse(number, "a number is too long", "use a smaller number")
        return int(number)

    def fraction(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise refuse(number, f"the number {shorten(number)} is too large", "use a smaller number")
        return value

    def constant(name: str) -> Any:
        raise refuse(name, f"{name} is not a number that a pipeline can contain", "remove it")

    try:
        value = json.loads(
            text, object_pairs_hook=_json_object, parse_constant=constant, parse_int=whole, parse_float=fraction
        )
    except RecursionError:
        raise _too_deep() from None
    _check_values(value)
    return value


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twin = repeated(key for key, _ in pairs)[0]
        raise _refused(f"the key '{shorten(twin)}' appears twice in one mapping", "remove one of them")
    return result


def _check_values(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        following: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item, None)
            elif isinstance(item, dict):
                following.extend(item.values())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                following.extend(item)  # pyright: ignore[reportUnknownArgumentType]
            elif isinstance(item, list):
                following.extend(item)  # pyright: ignore[reportUnknownArgumentType]
        level = following
        if not level:
            return
    raise _too_deep()


def _check_text(text: str, line: int | None) -> None:
    if _UNSTORABLE.search(text):
        raise _refused("a text has a null character or half a character", "remove it", line)


def _too_deep(line: int | None = None) -> SpecError:
    return _refused(f"the file is nested more than {MAX_DEPTH} levels deep", "a pipeline needs fewer than ten", line)


def _read_yaml(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return _Builder().build(yaml.parse(text, Loader=loader))


class _Builder:
    """Builds values from YAML events with a stack, so that no depth of input can exhaust Python's."""

    def __init__(self) -> None:
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | None] = []
        self._result: Any = None
        self._documents = 0

    def build(self, events: Any) -> Any:
        for count, event in enumerate(events):
            line = event.start_mark.line + 1
            if count > MAX_VALUES:
                raise _refused(f"the file has more than {MAX_VALUES} values", "split the pipeline", line)
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _refused("the file contains two documents", "write one pipeline per file", line)
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._keys.pop()
                self._stack.pop()
        return self._result

    def _node(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            raise _refused(f"anchors and aliases ('{shorten(event.anchor)}') are not supported", "write it out", line)
        if event.tag is not None and event.tag != "!":
            raise _refused(f"the tag '{shorten(event.tag)}' is not supported", "write a plain value", line)
        if self._stack and isinstance(self._stack[-1], dict) and self._keys[-1] is None:
            self._take_key(event, line)
        elif isinstance(event, yaml.ScalarEvent):
            self._put(scalar(event.value, plain=event.implicit[0], line=line))
        else:
            if len(self._stack) >= MAX_DEPTH:
                raise _too_deep(line)
            container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(container)
            self._stack.append(container)
            self._keys.append(None)

    def _take_key(self, event: Any, line: int) -> None:
        parent = self._stack[-1]
        if not isinstance(event, yaml.ScalarEvent):
            remedy = "write 'key: value', or put a template such as {{ x }} in quotes"
            raise _refused("a key is not text", remedy, line)
        key = str(event.value)
        _check_text(key, line)
        if key in parent:
            raise _refused(f"the key '{shorten(key)}' appears twice in one mapping", "remove one of them", line)
        self._keys[-1] = key

    def _put(self, value: Any) -> None:
        if not self._stack:
            self._result = value
            return
        parent, key = self._stack[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif key is not None:
            parent[key] = value
            self._keys[-1] = None


def scalar(text: str, *, plain: bool, line: int | None = None) -> Any:
    """What a YAML scalar means: text, unless it is plain (no quotes) and has the form of something else."""
    if not plain:
        _check_text(text, line)
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    try:
        if INTEGER.match(text):
            return int(text)
        if FLOAT.match(text) and math.isfinite(number := float(text)):
            return number
        if TIMESTAMP.match(text):
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(_iso(text))
    except ValueError:
        raise _refused(f"'{shorten(text)}' is not a value", "put it in quotes if it is text", line) from None
    _check_text(text, line)
    return text


def _iso(text: str) -> str:
    day, clock = text[:10], text[11:].replace(" ", "")
    return f"{day}T{clock if clock[1:2].isdigit() else '0' + clock}"
