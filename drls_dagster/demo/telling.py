"""How the story is presented: numbered scenes, what came of each, and how long it took."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 110
_ICONS = {"done": ("✔", "green"), "refused": ("✘", "yellow")}


class Astray(DrlsError):
    """Something did not go as the story says."""


@dataclass
class Scene:
    """One scene. `outcome` has a line for each thing that came of it; `seconds` is how long all of it took."""

    number: int
    who: str
    what: str
    outcome: str = ""
    seconds: float = 0.0


@dataclass
class Telling:
    """Keeps the scenes, and prints them where there is a console."""

    console: Console | None = None
    scenes: list[Scene] = field(default_factory=list)

    @contextmanager
    def scene(self, who: str, what: str) -> Iterator[Outcome]:
        """A scene while it is played. One that does not end as planned raises, and is not among `scenes`."""
        scene = Scene(len(self.scenes) + 1, who, what)
        lines = Outcome()
        if self.console:
            self.console.print(f"{scene.number:2}  {who} {what}", style="bold", soft_wrap=True)
        began = time.monotonic()
        waiting = self.console.status("…") if self.console and self.console.is_terminal else nullcontext()
        with waiting:
            yield lines
        scene.seconds = time.monotonic() - began
        scene.outcome = "\n".join(text for _, text in lines.said)
        self.scenes.append(scene)
        if self.console:
            _print(self.console, lines, scene.seconds)

    @property
    def seconds(self) -> float:
        return sum(scene.seconds for scene in self.scenes)


@dataclass
class Outcome:
    """The outcome of a scene, line by line."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def done(self, text: str) -> None:
        self.said.append(("done", text))

    def refused(self, text: str) -> None:
        """A refusal, in the product's own words."""
        self.said.append(("refused", text))


def _print(console: Console, lines: Outcome, seconds: float) -> None:
    took = f"{seconds:.1f} s"
    for kind, text in lines.said:
        icon, style = _ICONS[kind]
        head = f"{took:>10}  {icon} "
        console.print(
            textwrap.fill(
                text,
                min(console.width, _WIDTH),
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            ),
            style=style,
            soft_wrap=True,
        )
        took = ""
