"""What a fence refused to a Ray step says the path and the setting that opens it."""

from __future__ import annotations

import json
import threading
from multiprocessing.connection import Client, Listener
from pathlib import Path

import pytest

from drls_dagster.engine.python_words import CORRECT
from drls_dagster.engine.state import EngineState
from drls_dagster.settings import load_settings
from drls_dagster.steps import ray_process
from drls_dagster.steps.spark import StepFailed


def test_a_refused_path_is_said_with_the_setting(
    drls_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.bin"
    model.write_text("x")
    error = f"process() of node 'scored' failed: PermissionError: [Errno 13] Permission denied: '{model}'; {CORRECT}"
    with Listener(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept() as connection:
                connection.recv_bytes()
                connection.send_bytes(json.dumps({"error": error, "code": True, "details": ""}).encode())

        answering = threading.Thread(target=answer)
        answering.start()

        monkeypatch.setattr(ray_process, "_connected", lambda *_: Client(listener.address))
        engine = EngineState("e", 1, 0.0, "running", "", "")
        with pytest.raises(StepFailed, match=r"model\.bin': the fence .*model\.bin; add its folder to \[fence\] read"):
            ray_process.ask_runner(load_settings(), engine, {"node": "scored"})
        answering.join()
