"""Offsets of a topic's partitions: as text in positions and pins, and which of them a sink reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.positions import PositionLost

if TYPE_CHECKING:
    from drls_dagster.steps.sources.kafka.source import KafkaPin

Offsets = Mapping[int, int]  # partition -> the next offset


def text_of(offsets: Offsets) -> str:
    """`0=120,1=87`, the same text for the same offsets."""
    return ",".join(f"{partition}={offset}" for partition, offset in sorted(offsets.items()))


def offsets_of(text: str) -> dict[int, int]:
    """What `text_of` wrote. Raises ValueError for anything else."""
    found = (one.split("=") for one in text.split(","))
    return {int(partition): int(offset) for partition, offset in found}


def behind(position: Offsets, pin: KafkaPin, remedy: str) -> dict[int, int]:
    """From where a sink at `position` reads; of a partition that is new since then, everything.

    Raises PositionLost where the topic no longer has, or never had, what follows the position.
    """
    low, high = offsets_of(pin.low), offsets_of(pin.high)
    for partition, at in sorted(position.items()):
        if partition not in high:
            raise PositionLost(
                f"{pin.name} no longer has partition {partition}, of which the sink has read up to {at}; {remedy}"
            )
        if at < low[partition]:
            raise PositionLost(
                f"partition {partition} of {pin.name} begins at offset {low[partition]} now, and the sink has read it "
                f"up to {at}: {low[partition] - at} message(s) between them are gone; {remedy}"
            )
        if at > high[partition]:
            raise PositionLost(
                f"partition {partition} of {pin.name} ends at offset {high[partition]}, and the sink has read it up to "
                f"{at}: the brokers have lost messages; {remedy}"
            )
    return {partition: position.get(partition, first) for partition, first in low.items()}
