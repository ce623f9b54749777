"""The settings of agents: which models the chat may use, and how much."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Section):
    """A model that people can choose for a chat, under the name `<name>`."""

    model: str = Field(description="The model as litellm names it, such as `anthropic/claude-sonnet-4-5`")
    key: str | None = Field(
        default=None, description="Where to read the provider's key: `env:NAME` or `file:/path`; local models need none"
    )
    api_base: str | None = Field(default=None, description="Address of the provider, unless litellm knows it")
    input_price: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens read, unless litellm knows it"
    )
    output_price: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens written, unless litellm knows it"
    )
    context: int = Field(default=128_000, ge=8_000, description="Tokens that the model takes at once")
    seconds: float = Field(default=120, gt=0, description="Seconds to wait for the model's next words")

    @model_validator(mode="after")
    def _has_both_prices(self) -> ModelSettings:
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("set input_price and output_price, or neither")
        return self


class _Budget(_Section):
    tokens: int | None = Field(default=None, ge=1, description="Most tokens, read and written")
    money: float | None = Field(default=None, gt=0, description="Most US dollars; needs models with a known price")
    steps: int | None = Field(default=None, ge=1, description="Most answers of the model")
    seconds: float | None = Field(
        default=None, gt=0, description="Most seconds of work; waiting for a person does not count"
    )


class MessageBudget(_Budget):
    """What one message may use."""

    steps: int | None = Field(default=40, ge=1, description="Most answers of the model")
    seconds: float | None = Field(
        default=600, gt=0, description="Most seconds of work; waiting for a person does not count"
    )


class ChatBudget(_Budget):
    """What one chat may use in all."""

    tokens: int | None = Field(default=2_000_000, ge=1, description="Most tokens, read and written")


class PersonBudget(_Budget):
    """What one person may use in a day (UTC), in all chats."""

    tokens: int | None = Field(default=5_000_000, ge=1, description="Most tokens, read and written")


class DayBudget(_Budget):
    """What all people together may use in a day (UTC)."""

    tokens: int | None = Field(default=20_000_000, ge=1, description="Most tokens, read and written")


class AgentSettings(_Section):
    """The chat agent TRex. Without a model there is no chat; everything else works."""

    models: dict[str, ModelSettings] = Field(default_factory=dict, description="Models by name")
    default: str | None = Field(default=None, description="Model of new chats; default: the first one")
    fallbacks: tuple[str, ...] = Field(default=(), description="Models to use, in order, while the chosen one fails")
    retries: int = Field(default=4, ge=0, description="How often to try a model again after a rate limit or failure")
    retry_seconds: float = Field(default=1, gt=0, description="Pause before the first retry; each next one is doubled")
    confirm_seconds: float = Field(
        default=600, gt=0, description="Seconds after which an unanswered confirmation counts as a no"
    )
    per_message: MessageBudget = MessageBudget()
    per_chat: ChatBudget = ChatBudget()
    per_person: PersonBudget = PersonBudget()
    per_day: DayBudget = DayBudget()

    @model_validator(mode="after")
    def _names_its_models(self) -> AgentSettings:
        for name in (self.default, *self.fallbacks):
            if name is not None and name not in self.models:
                known = ", ".join(self.models) or "none is configured"
                raise ValueError(f"there is no model {name!r} in agent.models ({known})")
        return self
