"""A real Kafka broker for the tests: one process, in KRaft mode, that asks for a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from drls_dagster.engine.java import find_java

READER, OWNER = "reader", "owner"
_JARS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drls" / "kafka-4.1.2"
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} required username="{owner}" password="{owner}" \
user_{owner}="{owner}" user_{reader}="{password}";
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=100
log.retention.check.interval.ms=200
log.initial.task.delay.ms=200
log.dirs={folder}/data
"""
# Two more doors, behind TLS: one that asks for a password by SCRAM, one that asks for nothing.
_BEHIND_TLS = """
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram} required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram} required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.client.auth=none
"""


class Kafka:
    """The owner's own way into the topics that pipelines read."""

    def __init__(self, port: int) -> None:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient

        self.servers = f"127.0.0.1:{port}"
        self.scram_servers = self.tls_servers = ""
        self._config: dict[str, Any] = {
            "bootstrap.servers": self.servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": OWNER,
            "sasl.password": OWNER,
            "log_level": 0,
        }
        self.admin = AdminClient(self._config)
        self._new_producer = lambda: Producer(self._config)
        self._producer = self._new_producer()

    def topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """A new topic of that name."""
        from confluent_kafka.admin import NewTopic

        given = {key.replace("_", "."): value for key, value in config.items()}
        self.admin.create_topics([NewTopic(name, num_partitions=partitions, config=given)])[name].result(30)
        return name

    def scram_user(self, name: str, password: str) -> None:
        """Lets somebody in by both mechanisms of SCRAM."""
        from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            info = ScramCredentialInfo(mechanism, 4096)
            asked = UserScramCredentialUpsertion(name, info, password.encode())
            for done in self.admin.alter_user_scram_credentials([asked]).values():
                done.result(30)

    def delete(self, name: str) -> None:
        self.admin.delete_topics([name])[name].result(30)

    def grow(self, name: str, partitions: int) -> None:
        """More partitions."""
        from confluent_kafka.admin import NewPartitions

        self.admin.create_partitions([NewPartitions(name, partitions)])[name].result(30)
        self._producer = self._new_producer()  # the other one would learn of them minutes later

    def forget(self, name: str, partition: int, before: int) -> None:
        """Removes the messages below an offset, as retention does."""
        from confluent_kafka import TopicPartition

        for done in self.admin.delete_records([TopicPartition(name, partition, before)]).values():
            done.result(30)

    def send(self, name: str, *values: str | bytes | None, partition: int = 0, **more: Any) -> None:
        for value in values:
            self._producer.produce(name, value, partition=partition, **more)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def transaction(self, name: str, values: Sequence[str], *, commit: bool) -> None:
        """Sends messages in a transaction of their own, and commits or aborts it."""
        from confluent_kafka import Producer

        producer = Producer({**self._config, "transactional.id": f"{name}-{time.monotonic_ns()}"})
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(name, value, partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


@contextmanager
def running_kafka(password: str, keystore: Path | None = None) -> Iterator[Kafka]:
    """Runs a broker until the block ends. `password` is the reader's; `keystore` opens two more doors, behind TLS."""
    if not _JARS.is_dir():
        raise RuntimeError(f"{_JARS} is missing; fetch the broker's jars with scripts/kafka.sh")
    folder = Path(tempfile.mkdtemp(prefix="drls-kafka-"))
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        port, controller, scram, tls = (one.getsockname()[1] for one in sockets)
    properties = folder / "server.properties"
    named = {"port": port, "controller": controller, "folder": folder, "owner": OWNER, "reader": READER}
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    doors = f",SASL_SSL://127.0.0.1:{scram},SSL://127.0.0.1:{tls}" if keystore else ""
    text = _PROPERTIES.format(**named, login=login, password=password, more=doors)
    if keystore:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        text += _BEHIND_TLS.format(scram=module, keystore=keystore)
    properties.write_text(text)
    java = [
        find_java().path / "bin" / "java",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        broker_classes(),
    ]
    log = (folder / "log").open("w")
    run: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": folder}
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", properties]
    if subprocess.run(tool, check=False, **run).returncode:
        raise RuntimeError(f"the broker's folder was not made: {(folder / 'log').read_text()[-2000:]}")
    broker = subprocess.Popen([*java, "kafka.Kafka", properties], **run)
    try:
        _wait(broker, port, folder / "log")
        kafka = Kafka(port)
        if keystore:
            kafka.scram_servers, kafka.tls_servers = f"127.0.0.1:{scram}", f"127.0.0.1:{tls}"
        yield kafka
    finally:
        broker.kill()
        broker.wait()
        log.close()
        shutil.rmtree(folder)


def broker_classes() -> str:
    """Scala is Spark's: its resolver leaves out what Spark has."""
    spark = Path(str(find_spec("pyspark").origin)).parent / "jars"  # pyright: ignore[reportOptionalMemberAccess]
    return os.pathsep.join([f"{_JARS}/*", *(str(one) for one in spark.glob("scala-*.jar"))])


def _wait(broker: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 90
    while True:
        if broker.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the broker did not start: {log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
