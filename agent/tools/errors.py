"""What a tool says when it cannot do its work: what, where, and what to do."""

from __future__ import annotations

from drls_dagster.errors import DrlsError


class ToolError(DrlsError):
    """`hint` says what to do now."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.hint = hint


class NeedsConfirmation(ToolError):
    """A person has to agree first, and this client cannot ask one."""

    def __init__(self, question: str) -> None:
        super().__init__(
            f"a person must confirm this first: {question}",
            hint="use a client that can ask (MCP elicitation), or a token issued for changes without asking: "
            "drls token issue --agent NAME --unattended",
        )
