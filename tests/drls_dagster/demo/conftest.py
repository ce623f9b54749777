"""A home with its first Admin, and its catalog; no engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster.cli.lifecycle import keep_token, kept_token
from drls_dagster.lifecycle_client.gateway import connected_adapters
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.settings import Settings, load_settings
from lifecycle.usecases.context import Context


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings()


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    made = open_context(
        settings, connected_adapters(settings), lambda started: keep_token(settings, started.token.secret) and None
    )
    yield made
    made.store.close()


@pytest.fixture
def token(settings: Settings, ctx: Context) -> str:
    found = kept_token(settings)
    assert found
    return found


@pytest.fixture
def admin(ctx: Context, token: str) -> LocalLifecycle:
    return LocalLifecycle(ctx, token, host="here", os_user="me")
