"""What a chat does now, and how much of its budgets it has used."""

from __future__ import annotations

from dataclasses import dataclass

from agent.chat import wire
from drls_dagster.agent_settings import ChatBudget

_LOOKS = {
    wire.ChatState.IDLE: ("draft", "ready"),
    wire.ChatState.WORKING: ("running", "working"),
    wire.ChatState.ASKING: ("pending", "waiting for you"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """`busy`: it takes no message, and can be stopped. `used` are amounts in words."""

    state: str
    look: str
    word: str
    busy: bool
    used: tuple[str, ...]


def standing(state: wire.ChatState, usage: wire.Usage, budget: ChatBudget | None = None) -> Standing:
    """The state and the usage of a chat in words."""
    look, word = _LOOKS[state]
    most = budget or ChatBudget()
    money = "price unknown" if usage.money is None else "under $0.01" if usage.money < 0.01 else f"${usage.money:.2f}"
    used = [
        f"{_grouped(usage.tokens)}{_of(most.tokens and _grouped(most.tokens))} tokens",
        f"{money}{_of(most.money and f'${most.money:g}')}",
        f"{usage.steps}{_of(most.steps and str(most.steps))} step{'' if usage.steps == 1 else 's'}",
        f"{usage.seconds:.0f}{_of(most.seconds and f'{most.seconds:.0f}')} s",
    ]
    shown = tuple(used) if usage.steps or usage.tokens else ()
    return Standing(state.value, look, word, state is not wire.ChatState.IDLE, shown)


def _of(most: str | float | None) -> str:
    return f" of {most}" if most else ""


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
