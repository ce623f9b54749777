"""Values that a list has more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def repeated(values: Iterable[str]) -> list[str]:
    """Each value that is there more than once, in the order of its first place; one look, however many there are."""
    return [value for value, times in Counter(values).items() if times > 1]
