"""Asking a model, through litellm: streamed, tried again, and then another model.

litellm is imported by the first question. It gets no keys but the one that it needs, sends nothing to its makers, and
its own log stays silent: its messages quote requests.
"""

from __future__ import annotations

import asyncio
import os
import random
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from agent.chat.wire import ModelInfo, Models
from drls_dagster.agent_settings import AgentSettings, ModelSettings
from drls_dagster.errors import DrlsError
from drls_dagster.redact import redact_text, removed
from drls_dagster.secret_source import read_secret
from lifecycle.errors import Invalid, Unavailable

LONGEST_PAUSE = 60.0
# For providers that do not count: characters for a token, on the safe side.
PER_TOKEN = 3.5
NO_MODELS = (
    "no model is configured; add one to DRLS_HOME/drls.toml and restart drls up, for example: [agent.models.claude] "
    'model = "anthropic/claude-sonnet-4-5" key = "env:ANTHROPIC_API_KEY"'
)
_LONGEST_REASON = 300
_TOO_MANY, _NO_ANSWER = 429, 408

Message = dict[str, Any]


class TooLong(DrlsError):
    """The model does not take that much at once."""


@dataclass(frozen=True)
class Wanted:
    """A tool call as the model wrote it; `arguments` is JSON, as a rule."""

    id: str
    name: str
    arguments: str


@dataclass
class Answered:
    """What the model said in one step. `money` in US dollars; None: its price is not known."""

    model: str
    text: str = ""
    calls: tuple[Wanted, ...] = ()
    tokens: int = 0
    money: float | None = None


async def _unheard(_: str) -> None:
    return None


async def _unseen() -> None:
    return None


@dataclass(frozen=True)
class Heard:
    """Who hears while a model answers: its words; `again`: forget the words of this step; news for the person."""

    words: Callable[[str], Awaitable[None]] = _unheard
    again: Callable[[], Awaitable[None]] = _unseen
    news: Callable[[str], Awaitable[None]] = _unheard


@dataclass
class _Parts:
    """A tool call, as its parts come in."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class ModelClient:
    """The configured models."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._asked = False

    @property
    def default(self) -> str:
        """The model of new chats. Raises Invalid where no model is configured."""
        if not self._settings.models:
            raise Invalid(NO_MODELS)
        return self._settings.default or next(iter(self._settings.models))

    def known(self) -> Models:
        """All of them, and what is missing."""
        found = tuple(
            ModelInfo(name=name, is_default=name == self.default, missing=_missing(name, one))
            for name, one in self._settings.models.items()
        )
        if not found:
            return Models(models=(), missing=NO_MODELS)
        return Models(models=found, missing=found[0].missing if all(one.missing for one in found) else "")

    def named(self, name: str) -> str:
        """`name`, or the default for an empty one. Raises Invalid for a model that is not configured."""
        chosen = name or self.default
        if chosen not in self._settings.models:
            raise Invalid(f"there is no model {chosen!r}; choose one of: {', '.join(self._settings.models)}")
        return chosen

    def context(self, name: str) -> int:
        """The tokens that the model and its fallbacks all take."""
        return min(self._settings.models[one].context for one in self._order(name))

    def unpriced(self, name: str) -> str | None:
        """The first of the model and its fallbacks whose price nobody knows."""
        return next((one for one in self._order(name) if _price(self._settings.models[one]) is None), None)

    async def ask(self, name: str, messages: Sequence[Message], tools: Sequence[Message], heard: Heard) -> Answered:
        """The model's next step; its fallbacks' where it fails.

        Raises TooLong, or Unavailable with what went wrong.
        """
        await asyncio.to_thread(litellm)
        order = self._order(name)
        for one, after in zip(order, (*order[1:], None), strict=True):
            try:
                return await self._patiently(one, messages, tools, heard)
            except Unavailable as error:
                if after is None:
                    raise
                await heard.again()
                await heard.news(f"{error.message}; using {after} instead")
        raise AssertionError("there is always a model")

    async def close(self) -> None:
        """Gives the connections back."""
        if self._asked:
            await litellm().close_litellm_async_clients()

    def _order(self, name: str) -> tuple[str, ...]:
        return (name, *(one for one in self._settings.fallbacks if one != name))

    async def _patiently(
        self, name: str, messages: Sequence[Message], tools: Sequence[Message], heard: Heard
    ) -> Answered:
        one = self._settings.models[name]
        try:
            key = read_secret(f"agent.models.{name}.key", one.key) if one.key else None
        except DrlsError as error:
            raise Unavailable(error.message) from None
        attempt = 0
        while True:
            try:
                return await self._once(name, one, key, messages, tools, heard)
            except litellm().ContextWindowExceededError:
                raise TooLong(f"{name} does not take that much at once") from None
            except Exception as error:  # noqa: BLE001 (litellm raises what its providers' libraries raise)
                if attempt >= self._settings.retries or not _may_pass(error):
                    raise Unavailable(f"the model {name} failed: {_reason(error, key)}") from None
                pause = max(_asked_pause(error), self._settings.retry_seconds * 2**attempt)
            attempt += 1
            await heard.again()
            await asyncio.sleep(min(pause, LONGEST_PAUSE) * random.uniform(1, 1.25))  # noqa: S311

    async def _once(
        self,
        name: str,
        one: ModelSettings,
        key: str | None,
        messages: Sequence[Message],
        tools: Sequence[Message],
        heard: Heard,
    ) -> Answered:
        self._asked = True
        # A local server asks for no key, but its client does.
        given: dict[str, Any] = {"api_key": key or ("none" if one.api_base else None), "api_base": one.api_base}
        if tools:
            given["tools"] = list(tools)
        stream = await litellm().acompletion(
            model=one.model,
            messages=list(messages),
            stream=True,
            stream_options={"include_usage": True},
            timeout=one.seconds,
            max_retries=0,
            num_retries=0,
            **{name: value for name, value in given.items() if value is not None},
        )
        text, parts, usage = list[str](), dict[int, _Parts](), None
        async for chunk in stream:
            usage = getattr(chunk, "usage", None) or usage
            for choice in chunk.choices:
                if choice.delta.content:
                    text.append(choice.delta.content)
                    await heard.words(choice.delta.content)
                for call in choice.delta.tool_calls or ():
                    part = parts.setdefault(call.index, _Parts())
                    part.id = part.id or call.id or ""
                    part.name = part.name or call.function.name or ""
                    part.arguments.append(call.function.arguments or "")
        said = "".join(text)
        calls = tuple(
            Wanted(part.id or f"call_{number}", part.name, "".join(part.arguments)) for number, part in parts.items()
        )
        read, written = _counted(usage, messages, tools, said, calls)
        price = _price(one)
        money = None if price is None else (read * price[0] + written * price[1]) / 1_000_000
        return Answered(name, said, calls, read + written, money)


@cache
def litellm() -> ModuleType:
    """litellm, which takes seconds to import; it looks nothing up in the network and says nothing."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOG", "CRITICAL")
    with warnings.catch_warnings():
        # Its own models' warnings, which say nothing to whoever uses it.
        warnings.simplefilter("ignore")
        import litellm as found

        found.ModelResponse()
        found.ModelResponseStream()
    found.suppress_debug_info = True
    found.drop_params = True
    found.disable_aiohttp_transport = True
    return found


def _missing(name: str, one: ModelSettings) -> str:
    try:
        if one.key:
            read_secret(f"agent.models.{name}.key", one.key)
    except DrlsError as error:
        return error.message
    return ""


def _price(one: ModelSettings) -> tuple[float, float] | None:
    """US dollars for a million tokens read, and written."""
    if one.input_price is not None and one.output_price is not None:
        return one.input_price, one.output_price
    if one.api_base:
        return None  # Whoever serves it makes the price.
    listed: Mapping[str, Mapping[str, Any]] = litellm().model_cost
    found = listed.get(one.model) or listed.get(one.model.partition("/")[2]) or {}
    read, written = found.get("input_cost_per_token"), found.get("output_cost_per_token")
    return None if read is None or written is None else (read * 1_000_000, written * 1_000_000)


def _counted(
    usage: Any, messages: Sequence[Message], tools: Sequence[Message], said: str, calls: Sequence[Wanted]
) -> tuple[int, int]:
    """Tokens read and written: as the provider counts them, else estimated."""
    if usage is not None and (usage.prompt_tokens or usage.completion_tokens):
        return usage.prompt_tokens or 0, usage.completion_tokens or 0
    written = len(said) + sum(len(one.arguments) + len(one.name) for one in calls)
    return estimated((*messages, *tools)), int(written / PER_TOKEN)


def estimated(messages: Sequence[Message]) -> int:
    """About how many tokens these are."""
    return int(sum(len(str(one)) for one in messages) / PER_TOKEN)


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: limits, failures of the provider, and the network; not a wrong key or request."""
    status = getattr(error, "status_code", None)
    return status is None or status in {_NO_ANSWER, _TOO_MANY} or status >= 500


def _asked_pause(error: Exception) -> float:
    """The seconds that the provider asks to wait."""
    headers: Mapping[str, str] = getattr(error, "litellm_response_headers", None) or {}
    given = headers.get("retry-after", "")
    return float(given) if given.isdigit() else 0.0


def _reason(error: Exception, key: str | None) -> str:
    """What went wrong in a line, without the key, also where the provider quotes it."""
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for prefix in ("litellm.", f"{type(error).__name__}: "):
        words = words.replace(prefix, "")
    return redact_text(words.replace(key, removed("key")) if key else words)[:_LONGEST_REASON]
