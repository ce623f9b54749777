"""Python's collector of cycles, set for a process that answers people."""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 50


def spare_the_collector() -> None:
    """Call once the app is made: what is there now stays for ever, and is not looked through again.

    With Python's own settings one request in twenty waited 120 ms for a look through modules, models and routes,
    in which there is never anything to free. Cycles that requests leave are still collected, when they are young.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
