"""DRLS in the cluster, as Helm installs it with the values that a team would write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import CHART
from tests.k8s import ingress
from tests.k8s.cluster import NAMESPACE, PODS, Cluster
from tests.k8s.given_secrets import HOST, POSTGRES, S3

NAME = "drls"
_OUTSIDE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "outside"}}}


def image() -> str:
    """The image's name, which node/image.sh printed."""
    found = os.environ.get("K8S_IMAGE")
    if not found:
        pytest.fail("K8S_IMAGE names no image; run make test-k8s")
    return found


@dataclass(frozen=True)
class Release:
    cluster: Cluster
    image: str

    def values(self, **changes: Any) -> dict[str, Any]:
        repository, _, tag = self.image.rpartition(":")
        lake = {
            "landing": "s3://lake/landing",
            "engine": {"start_seconds": 600},
            "catalog": {
                "type": "sql",
                "uri": f"postgresql://drls@{POSTGRES}:5432/lake",
                "warehouse": "s3://lake/warehouse",
                "properties": {
                    "s3.endpoint": f"http://{S3}:7070", "s3.region": "us-east-1", "s3.access-key-id": "drls",
                },
                "secrets": {"password": "env:LAKE_PASSWORD", "s3.secret-access-key": "env:LAKE_S3_SECRET"},
            },
        }  # fmt: skip
        return {
            "image": {"repository": repository, "tag": tag},
            "host": HOST,
            "settings": lake,
            "dagster": {"resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "8Gi"}}},
            "ingress": {"trustedProxies": [PODS]},
            "networkPolicy": {
                "database": {"ports": [5432], "to": [_OUTSIDE]},
                "outside": {"ports": [7070], "to": [_OUTSIDE]},
            },
            **changes,
        }

    def is_there(self) -> bool:
        return self.cluster.tried("helm", "--namespace", NAMESPACE, "status", NAME).returncode == 0

    def install(self, **changes: Any) -> None:
        """`helm install`, and a door to it. Returns when all pods are ready and the databases are made."""
        self._helm("install", **changes)
        ingress.serve(self.cluster)

    def upgrade(self, *options: str, **changes: Any) -> None:
        self._helm("upgrade", *options, **changes)

    def _helm(self, verb: str, *options: str, **changes: Any) -> None:
        file = self.cluster.config.parent / "values.yaml"
        file.write_text(yaml.safe_dump(self.values(**changes)))
        self.cluster.helm(
            verb, NAME, CHART, "--values", file, "--wait", "--wait-for-jobs", "--timeout", "14m", *options
        )

    def logs(self) -> str:
        """Everything that the containers of the release wrote."""
        found = []
        for pod in self.cluster.get("pods")["items"]:
            name = pod["metadata"]["name"]
            found.append(self.cluster.kubectl("--namespace", NAMESPACE, "logs", name, "--all-containers", "--tail=-1"))
        return "\n".join(found)
