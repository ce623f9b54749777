"""The secrets of an installation, made as docs/how-to/kubernetes.md says: here, in a folder, and never in a value of the chart."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.k8s.cluster import NAMESPACE, NODE_ADDRESS, Cluster

HOST = "drls.example.org"
POSTGRES, S3 = "postgres.outside.svc.cluster.local", "s3.outside.svc.cluster.local"


@dataclass(frozen=True)
class Secrets:
    """`folder` has the certificate that people trust, the key that signs the audit log, and passwords."""

    folder: Path

    @property
    def database(self) -> str:
        return self._kept("database")

    @property
    def bucket(self) -> str:
        return self._kept("bucket")

    @property
    def first(self) -> str:
        """The password that the first Admin gets."""
        return self._kept("first")

    def _kept(self, name: str) -> str:
        file = self.folder / name
        if not file.exists():
            file.write_text(secrets.token_urlsafe(18))
        return file.read_text()

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    def values(self) -> tuple[str, ...]:
        """What no log, no page and no manifest but a Secret may show."""
        return (self.database, self.bucket, self.first, (self.folder / "signing-key.pem").read_text().split("\n")[1])


def make(folder: Path) -> Secrets:
    folder.mkdir(mode=0o700)
    key, crt = folder / "tls.key", folder / "tls.crt"
    names = f"subjectAltName=DNS:{HOST},IP:{NODE_ADDRESS}"
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7")
    _openssl(*new, "-subj", f"/CN={HOST}", "-addext", names, "-keyout", str(key), "-out", str(crt))
    _openssl("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(folder / "signing-key.pem"))
    return Secrets(folder)


def _openssl(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)


def outside(cluster: Cluster, made: Secrets) -> None:
    """What PostgreSQL, S3 and the ingress controller themselves need."""
    _secret(cluster, "outside", "postgres", password=made.database)
    _secret(cluster, "outside", "s3", password=made.bucket)
    _certificate(cluster, "ingress-nginx", made)


def of_release(cluster: Cluster, made: Secrets) -> None:
    """The Secrets that the chart names."""
    url = f"postgresql+psycopg2://drls:{made.database}@{POSTGRES}:5432"
    _secret(cluster, NAMESPACE, "drls-database", **{"url": f"{url}/drls", "dagster-url": f"{url}/dagster"})
    _secret(cluster, NAMESPACE, "drls-admin", password=made.first)
    _secret(cluster, NAMESPACE, "drls-lake", **{"password": made.database, "s3-secret": made.bucket})
    signing = f"--from-file={made.folder / 'signing-key.pem'}"
    cluster.kubectl("--namespace", NAMESPACE, "create", "secret", "generic", "drls-signing-key", signing)
    _certificate(cluster, NAMESPACE, made)


def _secret(cluster: Cluster, namespace: str, name: str, **values: str) -> None:
    literals = [f"--from-literal={key}={value}" for key, value in values.items()]
    cluster.kubectl("--namespace", namespace, "create", "secret", "generic", name, *literals)


def _certificate(cluster: Cluster, namespace: str, made: Secrets) -> None:
    files = (f"--cert={made.certificate}", f"--key={made.folder / 'tls.key'}")
    cluster.kubectl("--namespace", namespace, "create", "secret", "tls", "drls-tls", *files)
