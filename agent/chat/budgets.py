"""What a message, a chat, a person's day and everybody's day may use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.chat.model import ModelClient
from agent.chat.store.store import ChatStore
from agent.chat.wire import Usage
from drls_dagster.agent_settings import AgentSettings
from lifecycle.errors import Refused, TooMany


class OutOfTime(TooMany):
    """A budget of seconds is used up while something is at work."""

    def __init__(self) -> None:
        super().__init__("the budget of seconds for this work is used up; send another message to continue")


_MEASURES = ("tokens", "money", "steps", "seconds")


@dataclass(frozen=True)
class Budgets:
    """The budgets of one turn. Seconds of waiting for a person are not in the store, and not in the budgets."""

    settings: AgentSettings
    store: ChatStore
    chat: str
    turn: int
    owner: str

    def check(self, models: ModelClient, model: str) -> None:
        """Raises TooMany, which says which budget is used up and when it is free again."""
        for name, most, used, whose in self._all():
            for measure in _MEASURES:
                limit = getattr(most, measure)
                if limit is None:
                    continue
                setting = f"agent.{name}.{measure}"
                if measure == "money" and (unpriced := models.unpriced(model)) is not None:
                    raise Refused(
                        f"{setting} is set, and nobody knows the price of the model {unpriced}; set input_price and "
                        f"output_price in agent.models.{unpriced}"
                    )
                found = getattr(used, measure) or 0
                if found >= limit:
                    when, seconds = self._free(name)
                    raise TooMany(
                        f"{whose} has used its budget of {_amount(measure, limit)} ({setting}); {when}",
                        retry_after=seconds,
                    )

    def seconds_left(self) -> float | None:
        """How long work may continue before a budget of seconds is used up; None: for ever."""
        left = [most.seconds - used.seconds for _, most, used, _ in self._all() if most.seconds is not None]
        return max(0.0, min(left)) if left else None

    def _all(self) -> Iterator[tuple[str, Any, Usage, str]]:
        given, used, today = self.settings, self.store.used, self.store.today
        yield "per_message", given.per_message, used(chat=self.chat, turn=self.turn), "this message"
        yield "per_chat", given.per_chat, used(chat=self.chat), "this chat"
        yield "per_person", given.per_person, used(owner=self.owner, day=today), f"{self.owner} today"
        yield "per_day", given.per_day, used(day=today), "everybody together today"

    def _free(self, name: str) -> tuple[str, int | None]:
        if name == "per_message":
            return "send another message to continue", None
        if name == "per_chat":
            return "start a new chat", None
        now = datetime.now(UTC)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        seconds = int((midnight - now).total_seconds()) + 1
        hours, minutes = divmod(seconds // 60, 60)
        return f"it is free again at {midnight:%Y-%m-%d %H:%M} UTC, in {hours} h {minutes} min", seconds


def _amount(measure: str, limit: float) -> str:
    return f"${limit:,.2f}" if measure == "money" else f"{limit:,g} {measure}"
