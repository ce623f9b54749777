"""What `drls up` starts: a code server per environment, the daemon, the web; all of them on this machine alone."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import yaml

from drls_dagster.dagster_private.daemon import DAEMON
from drls_dagster.gate.warm_host import KEY as WARM_HOST_KEY
from drls_dagster.gate.warm_host import NAME as WARM_HOST
from drls_dagster.gate.warm_host import PLACE as WARM_HOST_PLACE
from drls_dagster.gate.warm_host import VARIABLE as WARM_HOST_VARIABLE
from drls_dagster.log_lines import is_json
from drls_dagster.notebooks.places import NAME as NOTEBOOKS
from drls_dagster.notebooks.places import PLACE as NOTEBOOKS_PLACE
from drls_dagster.notebooks.port import is_installed as has_notebooks
from drls_dagster.orchestrator.instance import dagster_home, has_storage
from drls_dagster.orchestrator.running_up import OWN_TOKEN, folder
from drls_dagster.private_home import private_home
from drls_dagster.runs.address import RUN_SERVICE, UNIX, URL_VARIABLE
from drls_dagster.settings import Settings
from drls_dagster.up.children import Child
from lifecycle.domain.environment import Environment
from lifecycle.private_files import write_private

MARK = "DRLS_UP_ID"
MCP = "mcp"
# What `agent` brings: it is above this package, so its processes are named here and found when they start.
_MCP_MODULE = "agent.mcp.serve"
AGENT = "agent"
_CHAT_MODULE = "agent.chat.serve"
# The kernel takes 107 bytes as the name of a socket.
_LONGEST = 100


class Layout:
    """The processes of one `drls up`. Code servers listen on sockets in a folder that only their user can enter."""

    def __init__(self, settings: Settings, up_id: str, token: str, listening: int) -> None:
        self.settings = settings
        self.folder = folder(settings)
        self.logs = private_home(settings.home, "logs")
        self.sockets = self._socket_folder()
        self.workspace = self.folder / "workspace.yaml"
        # By name, where those listen that serve other processes of this user: HTTP, but for the warm host.
        self.listening = {RUN_SERVICE: self.sockets / "runs.sock"}
        if sys.platform == "linux":  # elsewhere libraries break in a fork
            self.listening[WARM_HOST] = self.sockets / "host.sock"
        if _is_installed(_MCP_MODULE):
            self.listening[MCP] = self.sockets / "mcp.sock"
        if settings.agent.models and _is_installed(_CHAT_MODULE):
            self.listening[AGENT] = self.sockets / "agent.sock"
        if sys.platform == "linux" and settings.notebook.most and has_notebooks():
            self.listening[NOTEBOOKS] = self.sockets / "notebooks.sock"
        self._open: dict[str, socket.socket] = {}
        self._site = listening
        self._token = token
        self._environment = {
            **os.environ,
            "DRLS_HOME": str(settings.home),
            "DAGSTER_HOME": str(dagster_home(settings)),
            MARK: up_id,
            URL_VARIABLE: f"{UNIX}{self.listening[RUN_SERVICE]}",
            "PYTHONUNBUFFERED": "1",
        }
        if WARM_HOST in self.listening:
            self._environment[WARM_HOST_VARIABLE] = str(self.listening[WARM_HOST])

    def write_workspace(self) -> None:
        """The workspace file: where Dagster's web and daemon find the code servers."""
        locations = [
            {"grpc_server": {"socket": str(self._socket(one)), "location_name": one.value}} for one in Environment
        ]
        self.workspace.write_text(yaml.safe_dump({"load_from": locations}, sort_keys=False))

    def prepare(self) -> None:
        """What must be there before the first of them starts; takes seconds the first time only."""
        self.clear_sockets()
        self._listen()
        self.write_workspace()
        if not has_storage(self.settings):
            # In a process of its own: who watches over the others need not carry Dagster.
            command = [sys.executable, "-m", "drls_dagster.up.prepare"]
            subprocess.run(command, env=self._environment, cwd=self.folder, check=True)

    def children(self) -> list[Child]:
        assert self._open, "prepare comes first"  # noqa: S101
        runs = self._open[RUN_SERVICE].fileno()
        web = [*("--fd", str(self._site)), *("--workspace", str(self.workspace))]
        agents: list[Child] = []
        hosts: list[Child] = []
        if WARM_HOST in self._open:
            listening = self._open[WARM_HOST].fileno()
            hosts.append(
                self._child(WARM_HOST, ["drls_dagster.up.warm_host.serve", "--fd", str(listening)], (listening,))
            )
        for name, module in ((MCP, _MCP_MODULE), (AGENT, _CHAT_MODULE)):
            if name in self._open:
                listening = self._open[name].fileno()
                agents.append(self._child(name, [module, "--fd", str(listening)], (listening,)))
                web += [f"--{name}", str(self.listening[name])]
        if NOTEBOOKS in self._open:
            listening = self._open[NOTEBOOKS].fileno()
            keeping = ["drls_dagster.notebooks.serve", "--fd", str(listening), "--sockets", str(self.sockets)]
            agents.append(self._child(NOTEBOOKS, keeping, (listening,)))
            web += ["--notebooks", str(self.sockets)]
        return [
            self._child(RUN_SERVICE, ["drls_dagster.runs.server", "--fd", str(runs)], (runs,)),
            *hosts,
            *(self._code_server(one) for one in Environment),
            self._child("daemon", [DAEMON, "run", "--workspace", str(self.workspace), *self._log_format]),
            self._child("web", ["drls_dagster.up.web.serve", *web], (self._site,), {OWN_TOKEN: self._token}),
            *agents,
        ]

    def clear_sockets(self) -> None:
        """What a killed server left would only be in the way."""
        for environment in Environment:
            self._socket(environment).unlink(missing_ok=True)
        for place in (*self.listening.values(), self.folder / WARM_HOST_PLACE, self.folder / WARM_HOST_KEY):
            place.unlink(missing_ok=True)
        (self.folder / NOTEBOOKS_PLACE).unlink(missing_ok=True)

    def _listen(self) -> None:
        """Listens for its children, so that whoever asks waits while one of them is started again."""
        for name, place in self.listening.items():
            self._open[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._open[name].bind(str(place))
            place.chmod(0o600)
            self._open[name].listen(128)
        if WARM_HOST in self.listening:
            write_private(self.folder / WARM_HOST_KEY, secrets.token_hex(32))
            write_private(self.folder / WARM_HOST_PLACE, str(self.listening[WARM_HOST]))
        if NOTEBOOKS in self.listening:
            write_private(self.folder / NOTEBOOKS_PLACE, str(self.listening[NOTEBOOKS]))

    def remove(self) -> None:
        """Removes the sockets."""
        for one in self._open.values():
            one.close()
        self.clear_sockets()
        if self.sockets != self.folder:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _code_server(self, environment: Environment) -> Child:
        options = [
            *("--socket", str(self._socket(environment))),
            *("--location-name", environment.value),
            *("-m", "drls_dagster.definitions", "-a", environment.value),
            # Runs get this Python, wherever "dagster" on the path may lead.
            "--use-python-environment-entry-point",
            *self._log_format,
        ]
        return self._child(environment.value, ["drls_dagster.up.code_server", "code-server", "start", *options])

    def _child(
        self, name: str, module: list[str], fds: tuple[int, ...] = (), more: dict[str, str] | None = None
    ) -> Child:
        return Child(
            name=name,
            command=[sys.executable, "-m", *module],
            environment={**self._environment, **(more or {})},
            folder=self.folder,
            log=self.logs / f"{name}.log",
            pass_fds=fds,
        )

    @property
    def _log_format(self) -> tuple[str, ...]:
        """For Dagster's own processes."""
        return ("--log-format", "json") if is_json(self.settings) else ()

    def _socket(self, environment: Environment) -> Path:
        return self.sockets / f"{environment.value}.sock"

    def _socket_folder(self) -> Path:
        longest = self.folder / f"{Environment.DEVELOPMENT.value}.sock"
        return self.folder if len(os.fsencode(longest)) <= _LONGEST else Path(tempfile.mkdtemp(prefix="drls-up-"))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
