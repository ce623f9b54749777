"""The view of a table's files: sizes and partitions as plots with their tables, and each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables.frame import Asked, Frame, page
from drls_dagster.web.tables.plots import Given, Plot, bars, share
from drls_dagster.web.tables.preview import AskedState
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.words import count, size
from lifecycle.domain.table_files import SMALL_SHARE, FileOrder, FilesAsked, PartitionFiles, SizeBucket
from lifecycle.usecases import read_tables

router = APIRouter()
FILES = 50
PARTITIONS = 30


@router.get("/tables/{name}/files")
def files(
    ctx: Ctx,
    request: Request,
    who: Who,
    at: Asked,
    state: AskedState,
    order: Annotated[FileOrder, Query()] = FileOrder.LARGEST,
    after: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Response:
    """Of a state, or of the newest."""

    def made(frame: Frame) -> Mapping[str, Any]:
        asked = FilesAsked(order=order, after=after, most=FILES, partitions=PARTITIONS)
        found = read_tables.table_files(ctx, who.actor, at, state.point, asked)
        kept = {**state.given, "order": "" if order is FileOrder.LARGEST else order.value}
        return {
            "found": found,
            "state": state,
            "order": order,
            "orders": [(one, frame.url("files", **state.given, order=one.value)) for one in FileOrder],
            "after": after,
            "total": found.data_file_count + found.delete_file_count,
            "sizes": _sizes(found.sizes, found.target_bytes),
            "partitions": _partitions(found.partitions),
            "next_url": frame.url("files", **kept, after=found.next) if found.next is not None else "",
            "first_url": frame.url("files", **kept) if after else "",
        }

    return page(ctx, request, who, at, "files", made)


def bucket_words(one: SizeBucket) -> str:
    if one.below is None:
        return f"{_whole(one.at_least)} and more"
    return f"under {_whole(one.below)}" if not one.at_least else f"{_whole(one.at_least)} to {_whole(one.below)}"


def partition_words(partition: Mapping[str, str | None]) -> str:
    """A partition in one line, for a title; the table beside the plot marks null as no text."""
    return ", ".join(f"{name} = {'null' if value is None else value}" for name, value in partition.items())


def _sizes(sizes: Sequence[SizeBucket], target: int) -> tuple[Plot, list[tuple[str, SizeBucket, bool]]]:
    named = [(bucket_words(one), one, one.below is not None and one.below <= target * SMALL_SHARE) for one in sizes]
    given = [
        Given(
            one.data_file_count,
            f"< {_whole(one.below)}" if one.below is not None else f"≥ {_whole(one.at_least)}",
            f"{words}: {count(one.data_file_count)} files, {size(one.bytes)}",
            "low" if small else "",
        )
        for words, one, small in named
    ]
    return bars(given), named


def _partitions(partitions: Sequence[PartitionFiles]) -> list[tuple[PartitionFiles, int]]:
    """Each with its part of the largest, in hundredths."""
    most = max((one.bytes for one in partitions), default=0)
    return [(one, share(one.bytes, most)) for one in partitions]


def _whole(number: int) -> str:
    return size(number).replace(".0 ", " ")
