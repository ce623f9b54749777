"""Secrets never reach a model, and what only looks like one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.tools.call import ToolCall
from agent.tools.dispatch import invoke
from agent.tools.errors import ToolError
from agent.tools.tool import Answer, Input, Toolset, tool
from drls_dagster.redact import redact, redact_text
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenScope

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwidGlkIjoyfQ.s3cr3tSignature_part-x"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
SECRETS = {
    "drls": "drls_personal_" + "Q1w2e3R4" * 5,
    "session": "drls_session_" + "Q1w2e3R4" * 5,
    "jwt": JWT,
    "aws": AWS,
    "provider": "sk-" + "proj-abcdefghij0123456789",
    "github": "ghp_" + "a1B2" * 9,
    "pem": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----",
}
PARTS = {
    "postgresql://drls:hunter2word@db:5432/lake": "hunter2word",
    "s3://key:p@ss-word@minio/bucket": "p@ss-word",
    "Authorization: Bearer abcdefghij0123456789": "abcdefghij0123456789",
    '{"password": "correct horse battery"}': "correct horse battery",
    'escaped {\\"api_key\\": \\"abcdef012345\\"} text': "abcdef012345",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfi": "wJalrXUtnFEMI/K7MDENG/bPxRfi",
    "s3.secret-access-key: minio-secret-1": "minio-secret-1",
    "PGPASSWORD=hunter2word psql": "hunter2word",
}
HARMLESS = (
    "sha256:" + "3f786850" * 8,
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "snapshot 8726347826342342344",
    "idempotency_key=c-17-run-of-flights",
    "primary_key: order_id_of_line",
    "key = env:ANTHROPIC_API_KEY",
    "password: file:/run/secrets/db",
    "http://drls.example:3000/approvals/12",
    "the bearer of good news",
    "SELECT token_count, secretary FROM staff",
)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_removed_wherever_it_stands(name: str) -> None:
    secret = SECRETS[name]
    for text in (secret, f"see {secret}.", f'{{"x": "{secret}"}}', f"[{secret}](https://a.example/?d={secret})"):
        assert secret not in redact_text(text)
        assert "removed]" in redact_text(text)


@pytest.mark.parametrize("text", PARTS)
def test_what_stands_behind_a_secrets_name_is_removed(text: str) -> None:
    assert PARTS[text] not in redact_text(text)
    assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_digests_ids_and_places_of_secrets_stay(text: str) -> None:
    assert redact_text(text) == text


class Look(Input):
    """What to look at."""

    fail: bool = False


class Row(Answer):
    """A row."""

    values: dict[str, str]
    cells: tuple[tuple[str, int], ...]


@tool(Toolset.READ)
def look(call: ToolCall, given: Look) -> Row:
    """Look at a row."""
    if given.fail:
        raise ToolError(f"cannot open postgresql://drls:hunter2word@db, nor {call.settings.home}")
    return Row(values={"password": "correct horse", "digest": "ab" * 32}, cells=((f"note {JWT}", 7),), next="own-words")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToolCall:
    monkeypatch.setenv("MODEL_KEY", "own-words")
    settings = Settings.model_validate(
        {"home": tmp_path, "agent": {"models": {"m": {"model": "openai/x", "key": "env:MODEL_KEY"}}}}
    )
    return ToolCall(None, frozenset({TokenScope.READ}), settings)  # type: ignore[arg-type]


def test_every_tools_answer_comes_without_secrets(call: ToolCall) -> None:
    answer = invoke(look, call, {}).model
    assert isinstance(answer, Row)
    assert answer.values == {"password": "[secret removed]", "digest": "ab" * 32}
    assert answer.cells == (("note [signed token removed]", 7),)
    # A key of the settings goes, whatever it looks like.
    assert answer.next == "[secret removed]"


def test_what_a_tool_refuses_comes_without_secrets(call: ToolCall) -> None:
    with pytest.raises(ToolError, match=r"drls:\[password removed\]@db, nor /"):
        invoke(look, call, {"fail": True})


def test_what_has_no_secrets_is_the_same_object(call: ToolCall) -> None:
    row = Row(values={"a": "b"}, cells=())
    assert redact(row) is row
