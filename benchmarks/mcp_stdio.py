"""An MCP server over stdio, talked to by hand: what a desktop client waits for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Stdio:
    """A server that has answered `initialize`, after `seconds`."""

    def __init__(self, process: subprocess.Popen[str], began: float) -> None:
        self._process = process
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}}
        self.ask("initialize", hello)
        self.seconds = time.perf_counter() - began
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result. Raises RuntimeError for an error, or when the server ended."""
        self._say({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        assert self._process.stdout
        for line in iter(self._process.stdout.readline, ""):
            message = json.loads(line)
            if message.get("id") == method:
                if "result" not in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
        raise RuntimeError(f"the server ended with {self._process.wait()}")

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a tool. Raises RuntimeError for a failure."""
        result = self.ask("tools/call", {"name": name, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{name}: {result['content']}")
        return result

    def _say(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@contextlib.contextmanager
def stdio(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Stdio]:
    """Starts it; it ends with the block."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Stdio(process, began)
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()
