"""A Kubernetes node on this machine with real pods, and the programs that talk to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.rendered import CHECKOUT, tools

NODE = CHECKOUT / "tests" / "k8s" / "node"
# Of the node, as node/parts.sh has it.
NODE_ADDRESS = "10.250.0.2"
PODS = "10.244.0.0/24"
NAMESPACE = "drls"


def cache() -> Path:
    """Where node/parts.sh keeps what was built, and the running node."""
    given = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("K8S_CACHE") or Path(given) / "drls-k8s")


@dataclass(frozen=True)
class Cluster:
    """`config` is an administrator's kubeconfig."""

    config: Path

    @classmethod
    def of(cls, folder: Path) -> Cluster:
        return cls(folder / "run" / "pki" / "admin.conf")

    def kubectl(self, *words: str | Path, given: str | None = None, seconds: float = 300) -> str:
        """What a command printed. Raises AssertionError with what it said when it failed."""
        done = self.tried("kubectl", *words, given=given, seconds=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stderr or done.stdout}"
        return done.stdout

    def helm(self, *words: str | Path, seconds: float = 900) -> str:
        done = self.tried("helm", "--namespace", NAMESPACE, *words, seconds=seconds)
        assert done.returncode == 0, f"helm {' '.join(map(str, words))}: {done.stderr or done.stdout}{self.state()}"
        return done.stdout

    def tried(
        self, program: str, *words: str | Path, given: str | None = None, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tools() / program, *words], env={**os.environ, "KUBECONFIG": str(self.config)}, input=given,
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip

    def apply(self, *things: dict[str, Any], namespace: str = NAMESPACE) -> None:
        text = "\n---\n".join(map(json.dumps, things))
        self.kubectl("--namespace", namespace, "apply", "--filename", "-", given=text)

    def get(self, kind: str, *names: str, namespace: str = NAMESPACE, **labels: str) -> Any:
        chosen = ["--selector", ",".join(f"{key}={value}" for key, value in labels.items())] if labels else []
        return json.loads(self.kubectl("--namespace", namespace, "get", kind, *names, *chosen, "--output", "json"))

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The release's pods of a part that are not on their way out."""
        label = f"app.kubernetes.io/component={component}"
        found = self.kubectl("--namespace", NAMESPACE, "get", "pods", "--selector", label, "--output", "json")
        return [one for one in json.loads(found)["items"] if "deletionTimestamp" not in one["metadata"]]

    def run(self, pod: str, *command: str, namespace: str = NAMESPACE) -> subprocess.CompletedProcess[str]:
        """A command in a pod that runs, or in one of a deployment's."""
        return self.tried("kubectl", "--namespace", namespace, "exec", pod, "--", *command)

    def reaches(self, pod: str, address: str, port: int, *, namespace: str = NAMESPACE) -> bool:
        """Whether a pod can open a connection."""
        asked = self.run(pod, "timeout", "4", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}", namespace=namespace)
        assert "error from server" not in asked.stderr.lower(), asked.stderr
        return asked.returncode == 0

    def psql(self, command: str, database: str = "postgres") -> str:
        """What PostgreSQL answered, asked on its own pod as its owner."""
        asked = f'PGPASSWORD=$(cat /secret/password) psql -h 127.0.0.1 -U drls -d {database} -Atc "$1"'
        pod = ("--namespace", "outside", "exec", "deployment/postgres", "--")
        return self.kubectl(*pod, "bash", "-c", asked, "psql", command)

    def state(self) -> str:
        """What there is and what happened, for the message of a failed test."""
        pods = self.tried("kubectl", "--namespace", NAMESPACE, "get", "pods,jobs", "--output", "wide").stdout
        events = self.tried("kubectl", "--namespace", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp").stdout
        return f"\n{pods}\n{events[-6000:]}"


@contextmanager
def running_node() -> Iterator[Cluster]:
    """Starts a node; when the block ends, or this process is killed, nothing of it is left."""
    keeper = subprocess.Popen(
        [NODE / "up.sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert keeper.stdin
    assert keeper.stdout
    assert keeper.stderr
    try:
        said = keeper.stdout.readline()
        assert said == "ready\n", f"{said}{keeper.stderr.read()}"
        yield Cluster.of(cache())
    finally:
        keeper.stdin.close()
        code = keeper.wait(60)
        said = keeper.stderr.read()
        keeper.stdout.close()
        keeper.stderr.close()
    assert code == 0, said
