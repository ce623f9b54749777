"""SCRAM and TLS on a real broker: both clients get in with what a connection says, and not without it.

librdkafka asks for offsets; Spark reads with the Java client, which a few lines of Java use here with the same settings.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from drls_dagster.connections.opened import OpenedKafka
from drls_dagster.engine.java import find_java
from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.kafka import pinning
from drls_dagster.steps.sources.kafka.pinning import look
from drls_dagster.steps.sources.kafka.reading import spark_settings
from tests.certificates import self_signed
from tests.kafka_server import Kafka, broker_classes, running_kafka

pytestmark = pytest.mark.kafka
PASSWORD = 'kanarienvogel "\\ ä-9e2b'  # with all that a login's quotes must survive
USER = "scram-reader"
JAVA = """
import java.io.FileReader;
import java.util.*;
import org.apache.kafka.clients.admin.Admin;

public class Look {
    public static void main(String[] given) throws Exception {
        Properties settings = new Properties();
        settings.load(new FileReader(given[0], java.nio.charset.StandardCharsets.UTF_8));
        settings.remove("isolation.level");
        settings.put("default.api.timeout.ms", "20000");
        settings.put("request.timeout.ms", "10000");
        try (Admin admin = Admin.create(settings)) {
            System.out.println(admin.describeTopics(List.of(given[1])).allTopicNames().get().get(given[1]).topicId());
        }
    }
}
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A keystore for a broker on this machine, and the certificate that clients trust."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public, key = self_signed("kafka", made, is_authority=True)
    folder.mkdir()
    (folder / "keystore.pem").write_bytes(key + public)
    (folder / "ca.pem").write_bytes(public)
    return folder / "keystore.pem", folder / "ca.pem"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The broker's keystore, the authority that signed it, and another one."""
    folder = tmp_path_factory.mktemp("tls")
    return (*certificate(folder / "own"), certificate(folder / "other")[1])


@pytest.fixture(scope="module")
def secured(files: tuple[Path, Path, Path]) -> Iterator[Kafka]:
    with running_kafka("plain", files[0]) as found:
        found.scram_user(USER, PASSWORD)
        found.topic("clicks")
        yield found


def connection(servers: str, ca: Path, mechanism: str = "", password: str = PASSWORD) -> OpenedKafka:
    return OpenedKafka(
        name="bus",
        servers=servers,
        protocol="SASL_SSL" if mechanism else "SSL",
        mechanism=mechanism or "PLAIN",
        user=USER if mechanism else None,
        password=password if mechanism else None,
        ca=str(ca),
        options={},
        fingerprint="",
    )


def by_java(one: OpenedKafka, folder: Path) -> str:
    """The id of the topic, as the client that Spark uses finds it; what it raised otherwise."""
    settings = {name.removeprefix("kafka."): value for name, value in spark_settings(one).items()}
    text = "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in settings.items())
    (folder / "client.properties").write_text(text)
    (folder / "Look.java").write_text(JAVA)
    java = find_java().path / "bin" / "java"
    words = [java, "-cp", broker_classes(), folder / "Look.java", folder / "client.properties", "clicks"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", ""])
def test_both_clients_read_behind_tls_with_and_without_a_login(
    secured: Kafka, files: tuple[Path, Path, Path], tmp_path: Path, mechanism: str
) -> None:
    servers = secured.scram_servers if mechanism else secured.tls_servers
    one = connection(servers, files[1], mechanism)
    seen = look("clicks", "clicks", one)
    assert seen.high == {0: 0}
    # Java writes the same bytes with the letters of URLs.
    assert by_java(one, tmp_path) == seen.id.translate(str.maketrans("+/", "-_"))


def test_another_password_and_another_authority_are_refused_in_words(
    secured: Kafka, files: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "SECONDS", 5.0)  # nobody gets in later either
    wrong = connection(secured.scram_servers, files[1], "SCRAM-SHA-512", "other")
    with pytest.raises(DrlsError, match="the brokers refuse the user or the password"):
        look("clicks", "clicks", wrong)
    assert "SaslAuthenticationException" in by_java(wrong, tmp_path)
    foreign = connection(secured.scram_servers, files[2], "SCRAM-SHA-512")
    with pytest.raises(DrlsError, match="check security_protocol and ca of the connection") as refused:
        look("clicks", "clicks", foreign)
    assert "SslAuthenticationException" in by_java(foreign, tmp_path)
    assert PASSWORD not in str(refused.value)
