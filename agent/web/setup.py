"""What an installation lacks before a chat can answer, with the lines to put into its settings."""

from __future__ import annotations

from dataclasses import dataclass

from agent.chat import wire


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing; `lines` are for drls.toml, `after` says what to do then."""

    title: str
    why: str
    lines: str = ""
    after: tuple[str, ...] = ()


NO_MODEL = Lack(
    title="No model is set up",
    why="TRex needs a language model. Add one to DRLS_HOME/drls.toml; its key stays in an environment variable:",
    lines="""\
[agent.models.claude]
model = "anthropic/claude-sonnet-4-5"
key = "env:ANTHROPIC_API_KEY"

[agent.models.local]
model = "ollama_chat/qwen3"
api_base = "http://127.0.0.1:11434"\
""",
    after=("One of the two is enough; any model that litellm knows works. Then restart drls up.",),
)


def what_to_set(models: wire.Models) -> Lack | None:
    """What to do before a message can be answered; None when a model can be used."""
    if not models.missing:
        return None
    return Lack(title="No model can be used", why=models.missing)
