"""The audit log: what happened, whether it is intact, and how to export it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from lifecycle.app.audit.chain_state import ChainWatch
from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.parts import part
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.audit import Entry, Head, anchor_line, export_lines
from lifecycle.domain.people import Target, WayIn
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid
from lifecycle.store.store import Store
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import require

router = APIRouter()
PAGE = 100
_BATCH = 1_000
_SUMMARY = 160
_PAGES = {"pipeline": links.pipeline, "promotion": links.request, "person": links.person, "team": links.team}
_Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for, as it was typed; empty means all. Days are whole ones in UTC."""

    subject: str = ""
    verb: str = ""
    who: str = ""
    way_in: str = ""
    since: str = ""
    until: str = ""

    @property
    def given(self) -> dict[str, str]:
        names = {"since": "from", "until": "to"}
        return {names.get(name, name): getattr(self, name) for name in self.__slots__ if getattr(self, name)}

    @property
    def wanted(self) -> dict[str, Any]:
        """The same as the log takes it. Raises Invalid."""
        texts: dict[str, Any] = {name: getattr(self, name) or None for name in ("subject", "verb", "who", "way_in")}
        return {
            **texts,
            "since": _day(self.since, "from"),
            # The whole day counts.
            "until": _day(self.until, "to", days=1),
        }

    def url(self, path: str, **more: int) -> str:
        query = urlencode({**self.given, **more})
        return path + (f"?{query}" if query else "")


def filter_of(
    subject: _Text = "",
    verb: _Text = "",
    who: _Text = "",
    way_in: _Text = "",
    since: Annotated[str, Query(alias="from", max_length=20)] = "",
    until: Annotated[str, Query(alias="to", max_length=20)] = "",
) -> Filter:
    """The filter in an address."""
    return Filter(*(text.strip() for text in (subject, verb, who, way_in, since, until)))


Asked = Annotated[Filter, Depends(filter_of)]
Watch = Annotated[ChainWatch, part(ChainWatch)]


@dataclass(frozen=True, slots=True)
class Line:
    """An entry for people: `link` leads to what it happened to, where that has a page."""

    entry: Entry
    who: str
    through: str
    link: str | None
    summary: str
    details: str


def line_of(entry: Entry) -> Line:
    """An entry as the page shows it; nothing of it is trusted to be text of ours."""
    actor = entry.actor
    kind, _, key = entry.subject.partition(":")
    through = [str(actor[name]) for name in ("way_in", "part", "host", "os_user") if actor.get(name)]
    told = ", ".join(f"{name} {_plain(value)}" for name, value in entry.body.items() if value not in (None, ""))
    known = kind in _PAGES and key and (kind != "promotion" or key.isdecimal())
    return Line(
        entry=entry,
        who=" for ".join(str(actor[name]) for name in ("name", "acts_for") if actor.get(name)),
        through=" · ".join(through),
        link=_PAGES[kind](cast("Any", key)) if known else None,
        summary=told if len(told) <= _SUMMARY else told[:_SUMMARY] + "…",
        details=json.dumps(entry.model_dump(mode="json"), indent=2, ensure_ascii=False),
    )


@router.get("/audit")
def audit(
    ctx: Ctx,
    request: Request,
    who: Who,
    asked: Asked,
    watch: Watch,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Entries, newest first, next to the state of the chain."""
    wanted = asked.wanted
    state = watch.state()
    with ctx.store.read() as view:
        _require(view, who)
        found = view.log.search(**wanted, before=before, limit=PAGE + 1)
        verbs, head = view.log.verbs(), view.log.head()
        names = [person.name for person in view.people.all()]
    lines = [line_of(entry) for entry in found[:PAGE]]
    more = len(found) > PAGE
    return render(
        request,
        "audit/audit.html",
        asked=asked,
        lines=lines,
        paged=before is not None,
        newest=asked.url("/audit"),
        older=asked.url("/audit", before=lines[-1].entry.sequence) if more else None,
        export=asked.url("/audit/export"),
        verbs=[*sorted({f"{verb.partition('.')[0]}." for verb in verbs}), *verbs],
        names=names,
        ways=[way.value for way in WayIn],
        chain=state,
        head=head,
        key=ctx.store.signing_key.public,
        anchor=anchor_line(head, ctx.store.signing_key.public),
    )


@router.get("/audit/chain")
def chain(ctx: Ctx, request: Request, who: Who, watch: Watch) -> Response:
    """The state of the chain, again."""
    with ctx.store.read() as view:
        _require(view, who)
    return render(request, "audit/chain.html", chain=watch.state())


@router.post("/audit/rescan")
def rescan(ctx: Ctx, request: Request, who: Who, watch: Watch) -> Response:
    """Reads the whole log again."""
    with ctx.store.read() as view:
        _require(view, who)
    watch.rescan()
    return done(request, links.audit(), "Verifying the log from its first entry.")


@router.get("/audit/export")
def export(ctx: Ctx, who: Who, asked: Asked) -> Response:
    """What the filter finds, newest first, an entry as JSON on each line."""
    wanted = asked.wanted
    with ctx.store.read() as view:
        _require(view, who)
        head = view.log.head()
    return _file((entry.model_dump_json() + "\n" for entry in _found(ctx.store, wanted, head)), "audit", head)


@router.get("/audit/log")
def whole(ctx: Ctx, who: Who) -> Response:
    """The full log with its signed head, for `drls audit verify FILE`."""
    with ctx.store.read() as view:
        _require(view, who)
        head = view.log.head()
    return _file(export_lines(head, _upto(ctx.store, head)), "audit-log", head)


@router.get("/audit/anchor")
def anchor(ctx: Ctx, who: Who) -> Response:
    """The signed head with its key, for `drls audit verify --anchor FILE`."""
    with ctx.store.read() as view:
        _require(view, who)
        head = view.log.head()
    return _file(iter([anchor_line(head, ctx.store.signing_key.public) + "\n"]), "audit-anchor", head)


def _require(view: View, who: Who) -> None:
    require(view, who.actor, Role.ADMIN, Target(), "reading the audit log")


def _file(lines: Iterator[str], name: str, head: Head) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="drls-{name}-{head.sequence}.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


def _found(store: Store, wanted: dict[str, Any], head: Head) -> Iterator[Entry]:
    """Page by page: entries never change, so no transaction stays open while a browser reads slowly."""
    before = head.sequence + 1
    while True:
        with store.read() as view:
            page = view.log.search(**wanted, before=before, limit=_BATCH)
        yield from page
        if len(page) < _BATCH:
            return
        before = page[-1].sequence


def _upto(store: Store, head: Head) -> Iterator[Entry]:
    after = 0
    while after < head.sequence:
        with store.read() as view:
            page = tuple(view.log.entries(after, limit=min(_BATCH, head.sequence - after)))
        # What is missing is also missing in the file: its verifier says so.
        page = tuple(entry for entry in page if entry.sequence <= head.sequence)
        yield from page
        if not page:
            return
        after = page[-1].sequence


def _day(text: str, name: str, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise Invalid(f"{name}: {text!r} is not a date; write it like 2026-03-02") from None


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
