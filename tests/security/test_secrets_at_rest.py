"""Where DRLS keeps secrets, no run can read: neither the fence of pipeline code nor that of the engine opens the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.fences import enter
from drls_dagster.fences.engine_fence import engine_fence
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import code_fence, confined
from drls_dagster.kept_tokens import kept_token
from drls_dagster.lifecycle_client.notifying import sender_of
from drls_dagster.orchestrator.running_up import UpState, write_up
from drls_dagster.settings import load_settings

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
OPENED = """
import json, sys
opened = []
for name in sys.argv[1:]:
    try:
        open(name, "rb").close()
        opened.append(name)
    except OSError:
        pass
print(json.dumps(opened))
"""


def opened(fence: Fence | None, files: list[str]) -> list[str]:
    """Those of the files that a process inside the fence can open."""
    command = [sys.executable, "-I", "-c", OPENED, *files]
    done = subprocess.run(confined(fence, command), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_file_with_a_secret_is_inside_a_fence(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{drls_home}/catalog/catalog.db")
    assert run(["db", "upgrade"]) == 0
    settings = load_settings()
    token = kept_token(settings)
    assert token
    sender_of(settings)  # makes the key that signs webhooks
    write_up(settings, UpState("1", os.getpid(), 0, "http://127.0.0.1:3000", "token-of-drls-up"))
    names = {
        "the first Admin's token": token.encode(),
        "the signing key": (drls_home / "signing-key.pem").read_bytes().splitlines()[1],
        "the webhooks' key": (drls_home / "webhook-secret").read_bytes().strip(),
        "the token of drls up": b"token-of-drls-up",
    }
    files = [str(file) for file in drls_home.rglob("*") if file.is_file()]
    secret = {name: [file for file in files if text in Path(file).read_bytes()] for name, text in names.items()}
    assert all(secret.values()), secret
    assert all(os.stat(file).st_mode & 0o077 == 0 for found in secret.values() for file in found)
    fences = {"code": code_fence(settings), "engine": engine_fence(settings)}
    assert opened(None, files) == files
    for name, fence in fences.items():
        reached = set(opened(fence, files))
        assert not reached & {file for found in secret.values() for file in found}, name
        assert not {Path(file).name for file in reached} & {"lifecycle.db", "runs.db", "secret", "secret.store"}, name
