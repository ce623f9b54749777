"""Dagster's asset selection syntax, resolved over the assets that the caller may see: `key:"a"+ and tag:x`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agent.tools.errors import ToolError

HELP = 'for example key:"sales.orders"+, tag:tier=gold, group:orders and not kind:view, +owner:ada@example.com'
_TOKENS = re.compile(r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<sign>[()+:=])|(?P<word>[^\s()+:="']+))""")
_DEEPEST = 40


@dataclass(frozen=True)
class Asset:
    """An asset of one environment. `node` is its name in its pipeline, which is its group; `reads` are keys."""

    key: tuple[str, ...]
    pipeline: str
    node: str
    reads: frozenset[tuple[str, ...]]
    kinds: frozenset[str]
    tags: Mapping[str, str]
    owners: frozenset[str]
    runs: bool
    partitioned: bool
    one_run: bool = True  # a range of partitions is one run

    @property
    def name(self) -> str:
        """As people and specs call it: a table without environment and catalog, a step with its pipeline."""
        return ".".join(self.key[2:]) if len(self.key) > 3 else ".".join(self.key[1:])


Keys = frozenset[tuple[str, ...]]


class Graph:
    """The assets of one environment, and what reads what."""

    def __init__(self, assets: Mapping[tuple[str, ...], Asset]) -> None:
        self.assets = dict(assets)
        self._readers: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for one in self.assets.values():
            for read in one.reads:
                self._readers.setdefault(read, set()).add(one.key)

    def above(self, keys: Keys, depth: int | None = None) -> Keys:
        """These and what they read, so many steps away or all of it."""
        return self._walk(keys, depth, lambda key: set(self.assets[key].reads))

    def below(self, keys: Keys, depth: int | None = None) -> Keys:
        """These and what reads them."""
        return self._walk(keys, depth, lambda key: self._readers.get(key, set()))

    def _walk(self, keys: Keys, depth: int | None, step: Callable[[tuple[str, ...]], set[tuple[str, ...]]]) -> Keys:
        found, edge = set(keys), set(keys)
        while edge and (depth is None or depth > 0):
            edge = {near for key in edge for near in step(key) if near in self.assets} - found
            found |= edge
            depth = None if depth is None else depth - 1
        return frozenset(found)

    def roots(self, keys: Keys) -> Keys:
        """Those that read none of the others."""
        return frozenset(key for key in keys if not self.assets[key].reads & keys)

    def sinks(self, keys: Keys) -> Keys:
        """Those that none of the others reads."""
        return frozenset(key for key in keys if not self._readers.get(key, set()) & keys)


def select(text: str, graph: Graph) -> Keys:
    """The keys of the assets that `text` names. Raises ToolError for what is not in Dagster's syntax."""
    return _Parser(text, graph).whole()


def select_nodes(text: str, graph: Graph) -> Keys:
    """Steps of one pipeline by their names: `a, +b, c+`. Raises ToolError naming one that is not there."""
    known = {one.node: one.key for one in graph.assets.values() if one.runs}
    found: set[tuple[str, ...]] = set()
    for word in filter(None, text.replace(",", " ").split()):
        name = word.strip("+")
        if name not in known:
            raise ToolError(f"there is no step {name}", hint=f"the steps are: {', '.join(sorted(known))}")
        one = frozenset({known[name]})
        found |= one
        if word.startswith("+"):
            found |= graph.above(one)
        if word.endswith("+"):
            found |= graph.below(one)
    return frozenset(key for key in found if graph.assets[key].runs)


class _Parser:
    """`or` binds least, then `and`, `not`, and the + of a traversal."""

    def __init__(self, text: str, graph: Graph) -> None:
        self._text, self._graph = text, graph
        self._all = frozenset(graph.assets)
        self._tokens = self._split(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Keys:
        found = self._or()
        if self._at < len(self._tokens):
            raise self._wrong()
        return found

    def _split(self, text: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        place, text = 0, text.strip()
        while place < len(text):
            match = _TOKENS.match(text, place)
            if match is None:
                raise self._wrong()
            kind = match.lastgroup or ""
            found.append((kind, match[kind].strip("\"'") if kind == "text" else match[kind]))
            place = match.end()
        return found

    def _or(self) -> Keys:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ToolError("the selection is nested too deeply", hint="select less at once")
        found = self._and()
        while self._is_word("or"):
            found |= self._and()
        self._depth -= 1
        return found

    def _and(self) -> Keys:
        found = self._not()
        while self._is_word("and"):
            found &= self._not()
        return found

    def _not(self) -> Keys:
        turns = 0
        while self._is_word("not"):
            turns += 1
        found = self._traversed()
        return self._all - found if turns % 2 else found

    def _traversed(self) -> Keys:
        up = self._plus_before()
        found = self._one()
        down = self._plus_behind()
        whole = found
        if up is not None:
            whole |= self._graph.above(found, up or None)
        if down is not None:
            whole |= self._graph.below(found, down or None)
        return whole

    def _plus_before(self) -> int | None:
        """The depth of `2+a`; 0 for all of it, None without a plus."""
        kind, value = self._next()
        if (kind, value) == ("sign", "+"):
            self._at += 1
            return 0
        if kind == "word" and value.isdecimal() and self._next(1) == ("sign", "+"):
            self._at += 2
            return int(value)
        return None

    def _plus_behind(self) -> int | None:
        if self._next() != ("sign", "+"):
            return None
        self._at += 1
        kind, value = self._next()
        if kind == "word" and value.isdecimal():
            self._at += 1
            return int(value)
        return 0

    def _one(self) -> Keys:
        kind, value = self._next()
        self._at += 1
        if (kind, value) == ("sign", "("):
            return self._closed(self._or())
        if (kind, value) == ("word", "*"):
            return self._all
        if kind == "word" and self._next() == ("sign", "("):
            self._at += 1
            found = self._closed(self._or())
            if value == "roots":
                return self._graph.roots(found)
            if value == "sinks":
                return self._graph.sinks(found)
            raise self._wrong()
        if kind == "word" and self._next() == ("sign", ":"):
            self._at += 1
            return self._with(value, self._value())
        raise self._wrong()

    def _closed(self, found: Keys) -> Keys:
        if self._next() != ("sign", ")"):
            raise self._wrong()
        self._at += 1
        return found

    def _value(self) -> str:
        """A quoted text or a word, with another one behind `=`."""
        kind, value = self._next()
        if kind not in ("text", "word"):
            raise self._wrong()
        self._at += 1
        if self._next() == ("sign", "="):
            self._at += 1
            kind, behind = self._next()
            if kind not in ("text", "word"):
                raise self._wrong()
            self._at += 1
            return f"{value}={behind}"
        return value

    def _with(self, attribute: str, wanted: str) -> Keys:
        def has(one: Asset) -> bool:
            match attribute:
                case "key":
                    return any(fnmatchcase(name, wanted) for name in ("/".join(one.key), one.name))
                case "group":
                    return one.pipeline == wanted
                case "kind":
                    return wanted in one.kinds
                case "owner":
                    return wanted in one.owners
                case "tag":
                    name, _, value = wanted.partition("=")
                    return one.tags.get(name) == value
                case _:
                    raise self._wrong()

        return frozenset(key for key, one in self._graph.assets.items() if has(one))

    def _is_word(self, word: str) -> bool:
        kind, value = self._next()
        if kind == "word" and value.lower() == word:
            self._at += 1
            return True
        return False

    def _next(self, ahead: int = 0) -> tuple[str, str]:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ("end", "")

    def _wrong(self) -> ToolError:
        told = f"the selection {self._text[:200]!r} is not in Dagster's asset selection syntax"
        return ToolError(told, hint=HELP)
