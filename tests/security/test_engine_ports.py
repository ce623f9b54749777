"""Nobody but an engine's owner reaches what listens in it. Each port and socket is tried, as another account."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from py4j.java_gateway import JavaGateway

from drls_dagster.engine import client
from drls_dagster.engine import state as st
from drls_dagster.engine.credentials import RAY_TOKEN, SPARK_SECRET
from drls_dagster.engine.places import ray_folder
from drls_dagster.settings import Settings
from tests.ending import unless_gone
from tests.security.spark_jvm import running_java

pytestmark = pytest.mark.engine

STRANGER = Path(__file__).with_name("stranger.py")
SYSTEM_PYTHON = "/usr/bin/python3"
NODES = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"
CONNECT = "/spark.connect.SparkConnectService/Config"


OURSELVES = [sys.executable, "-I", "-"]
Answers = dict[str, dict[str, tuple[str, str]]]


def as_another_account() -> list[str]:
    """Python as `nobody`; ourselves, without any credentials, where we cannot become another account."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not Path(SYSTEM_PYTHON).exists():
        return OURSELVES
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", SYSTEM_PYTHON, "-I", "-"]


def listening(settings: Settings) -> tuple[dict[int, str], dict[str, str], list[str]]:
    """TCP ports and Unix sockets on which the engine's processes listen, with who does; and the addresses of both
    that are not on loopback, of UDP too."""
    state = st.read_state(settings)
    assert state is not None
    driver = psutil.Process(state.pid)
    ports: dict[int, str] = {}
    sockets: dict[str, str] = {}
    open_to_others: list[str] = []
    for process in [driver, *driver.children(recursive=True)]:
        name = unless_gone(process.name, "")
        for one in unless_gone(partial(process.net_connections, "all"), []):
            if one.family == socket.AF_UNIX:
                if one.laddr:
                    sockets[str(one.laddr)] = name
            elif one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM:
                if one.laddr.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1") or one.type == socket.SOCK_DGRAM:
                    open_to_others.append(f"{name} {one.laddr} {one.type.name}")
                ports[one.laddr.port] = name
    return ports, sockets, open_to_others


@cache
def ray_methods() -> list[str]:
    """Every method that Ray's programs serve or call, from their text: what a new Ray brings is tried too."""
    folder = Path(ray.__file__).parent / "core/src/ray"
    texts = [(folder / name).read_bytes() for name in ("raylet/raylet", "gcs/gcs_server")]
    return sorted({name.decode() for text in texts for name in re.findall(rb"/ray\.rpc\.[\w.]+/\w+(?=\0)", text)})


def ask(command: list[str], **task: Any) -> Answers:
    asked = {"ports": [], "sockets": [], "grpc": [], "spark": {}, "headers": {}, **task}
    result = subprocess.run(
        [*command, json.dumps(asked)],
        input=STRANGER.read_text(),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def java() -> Iterator[JavaGateway]:
    with running_java() as gateway:
        yield gateway


def spark_requests(java: JavaGateway) -> dict[str, str]:
    """What a stranger would send: an executor's question for the configuration, a look for an endpoint, a block."""
    configuration = "org.apache.spark.scheduler.cluster.CoarseGrainedClusterMessages$RetrieveSparkAppConfig"
    blocks = java.new_array(java.jvm.java.lang.String, 1)
    blocks[0] = "broadcast_0_piece0"
    block = java.jvm.org.apache.spark.network.shuffle.protocol.OpenBlocks("app", "driver", blocks)
    endpoint = "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence"
    return {
        "configuration": request("CoarseGrainedScheduler", written(java, configuration, 0)),
        "endpoints": request("endpoint-verifier", written(java, endpoint, "CoarseGrainedScheduler")),
        "blocks": bytes(block.toByteBuffer().array()).hex(),
    }


def written(java: JavaGateway, name: str, value: object) -> bytes:
    """A Scala message with that one value, as Java serializes it."""
    arguments = java.new_array(java.jvm.java.lang.Object, 1)
    arguments[0] = value
    message = java.jvm.java.lang.Class.forName(name).getConstructors()[0].newInstance(arguments)
    out = java.jvm.java.io.ByteArrayOutputStream()
    java.jvm.java.io.ObjectOutputStream(out).writeObject(message)
    return bytes(out.toByteArray())


def request(endpoint: str, content: bytes) -> str:
    """Spark's RequestMessage: no sender, the receiver's address and name, the content."""
    host, name = b"127.0.0.1", endpoint.encode()
    address = struct.pack("!??H", False, True, len(host)) + host + struct.pack("!i", 1)
    return (address + struct.pack("!H", len(name)) + name + content).hex()


@pytest.fixture(scope="module")
def answers(engine: Settings, java: JavaGateway) -> Answers:
    """What the stranger was told at each of the engine's ports and sockets."""
    state = st.read_state(engine)
    assert state is not None
    client.wait_for_runner(engine, state)
    ports, sockets, _ = listening(engine)
    command = as_another_account()
    tried = [] if command is OURSELVES else list(sockets)
    return ask(command, ports=list(ports), sockets=tried, grpc=[CONNECT, *ray_methods()], spark=spark_requests(java))


def test_an_engine_listens_on_loopback_only(engine: Settings) -> None:
    ports, _, elsewhere = listening(engine)
    assert ports
    assert not elsewhere


def test_a_stranger_is_granted_nothing_at_any_port_or_socket(engine: Settings, answers: Answers) -> None:
    ports, sockets, _ = listening(engine)
    names = {**{str(port): name for port, name in ports.items()}, **sockets}
    granted = [
        (names.get(where), where, how, said)
        for where, tries in answers.items()
        for how, (verdict, said) in tries.items()
        if verdict == "granted"
    ]
    assert not granted


def test_every_port_asks_for_credentials(engine: Settings, answers: Answers) -> None:
    """Each in its own way. A port that says nothing to any of our questions would be one that nobody looked at."""
    ports, _, _ = listening(engine)
    asking = {
        port: {
            how.split("/")[1] if "/" in how else how for how, (verdict, _) in tries.items() if verdict == "credentials"
        }
        for port, tries in answers.items()
        if port.isdigit() and int(port) in ports  # an idle worker may have ended since
    }
    assert not [(ports[int(port)], answers[port]) for port, how in asking.items() if not how]
    ways = {way for how in asking.values() for way in how}
    assert ways >= {"py4j", "configuration", "http", "door", "ray.rpc.CoreWorkerService", "ray.rpc.NodeManagerService"}
    assert ways >= {"ray.rpc.ObjectManagerService", "ray.rpc.NodeInfoGcsService", "spark.connect.SparkConnectService"}


def test_a_wrong_token_is_as_good_as_none(engine: Settings) -> None:
    state = st.read_state(engine)
    assert state is not None
    gcs = int(state.ray_address.rpartition(":")[2])
    wrong = {"authorization": f"Bearer {'0' * 64}"}
    answers = ask(OURSELVES, ports=[state.connect_port, gcs], grpc=[CONNECT, NODES], headers=wrong)
    assert answers[str(state.connect_port)][CONNECT][0] == "credentials"
    assert answers[str(gcs)][NODES][0] == "credentials"


def test_no_secret_of_an_engine_is_in_a_command_line_or_a_file_that_others_read(engine: Settings) -> None:
    state = st.read_state(engine)
    assert state is not None
    driver = psutil.Process(state.pid)
    tree = [driver, *driver.children(recursive=True)]
    server = next(one for one in tree if unless_gone(one.name, "") == "gcs_server")
    secrets = [server.environ()[name] for name in (RAY_TOKEN, SPARK_SECRET)]
    lines = [" ".join(unless_gone(one.cmdline, [])) for one in tree]
    assert not [line for line in lines for secret in (*secrets, state.token) if secret in line]
    files = [file for file in (engine.home / "engine").rglob("*") if file.is_file() and file.stat().st_size < 10**7]
    assert not [file for file in files for secret in secrets if secret.encode() in file.read_bytes()]
    assert stat.S_IMODE((engine.home / "engine").stat().st_mode) == 0o700
    assert stat.S_IMODE(ray_folder(engine).parent.stat().st_mode) == 0o700


def test_the_stranger_would_notice_what_is_open(engine: Settings, java: JavaGateway) -> None:
    """The same questions, to servers without secrets and with the secrets of this engine, are granted."""
    jvm = java.jvm
    gateway = jvm.py4j.GatewayServer(None, 0)
    gateway.start()
    conf = jvm.org.apache.spark.SparkConf(False)
    file_setting = getattr(jvm.org.apache.spark.SecurityManager, "$lessinit$greater$default$3")()
    security = jvm.org.apache.spark.SecurityManager(conf, jvm.scala.Option.empty(), file_setting)
    rpc = jvm.org.apache.spark.rpc.RpcEnv.create("open", "127.0.0.1", 0, conf, security, False)
    state = st.read_state(engine)
    assert state is not None
    server = next(one for one in psutil.Process(state.pid).children() if unless_gone(one.name, "") == "gcs_server")
    ray_token = server.environ()[RAY_TOKEN]
    try:
        open_ports = [gateway.getListeningPort(), rpc.address().port()]
        without = ask(OURSELVES, ports=open_ports, spark=spark_requests(java))
        gcs = int(state.ray_address.rpartition(":")[2])
        told = ask(OURSELVES, ports=[gcs], grpc=[NODES], headers={"authorization": f"Bearer {ray_token}"})
    finally:
        gateway.shutdown()
        rpc.shutdown()
    assert without[str(open_ports[0])]["py4j"][0] == "granted"
    assert without[str(open_ports[1])]["endpoints"][0] == "granted"
    assert told[str(gcs)][NODES][0] == "granted"
