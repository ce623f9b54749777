"""Connections to Kafka in the settings: hostile ones are refused, and what tells them apart is no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drls_dagster.connections.kafka import AVRO, JARS, KafkaConnection
from drls_dagster.engine.client import fingerprint
from drls_dagster.engine.conf import spark_conf
from drls_dagster.engine.handover import certificates, engine_settings, hand_over
from drls_dagster.engine.jars import coordinates
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment


def made(**more: Any) -> KafkaConnection:
    plain = {"kind": "kafka", "bootstrap_servers": ["a.example:9092"], "security_protocol": "plaintext"}
    return KafkaConnection.model_validate({**plain, **more})


SASL = {"security_protocol": "sasl_ssl", "user": "reader", "password": "env:BUS_PASSWORD"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"bootstrap_servers": ["a"]}, "'a' is no broker; write host:port"),
        ({"bootstrap_servers": ["a:0"]}, "is no broker"),
        ({"bootstrap_servers": ["a:9092,b:9092"]}, "is no broker"),
        ({"bootstrap_servers": ['a:1"; evil']}, "is no broker"),
        ({"bootstrap_servers": []}, "at least 1"),
        ({"user": "reader"} | {"security_protocol": "sasl_ssl"}, "set both"),
        ({"user": "reader", "password": "env:X"}, "belong to sasl_plaintext and sasl_ssl"),
        ({**SASL, "password": "kanarienvogel"}, "pattern"),
        ({**SASL, "user": "a\nb"}, "characters that no name of a user needs"),
        ({**SASL, "sasl_mechanism": "OAUTHBEARER"}, "SCRAM-SHA-512"),
        ({"ca": "/etc/ca.pem"}, "ca belongs to ssl and sasl_ssl"),
        ({"security_protocol": "ssl", "ca": "ca.pem"}, "pattern"),
        (
            {"options": {"sasl.jaas.config": "com.sun.security.auth.module.JndiLoginModule required;"}},
            "can load classes",
        ),
        ({"options": {"ssl.engine.factory.class": "evil.Factory"}}, "can load classes"),
        ({"options": {"metric.reporters": "evil.Reporter"}}, "can load classes"),
        ({"options": {"ssl.keystore.location": "/etc/passwd"}}, "can load classes"),
        ({"options": {"client.id": "a;b\n"}}, "characters that no option needs"),
        ({"driver": "postgresql"}, "Extra inputs"),
    ],
)
def test_a_connection_that_could_do_more_than_read_topics_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        made(**more)


def test_the_engine_gets_the_connectors_jars_the_certificate_and_no_password(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUS_PASSWORD", "kanarienvogel")
    plain = Settings(home=drls_home)
    own = Settings.model_validate({"home": drls_home, "connections": {"bus": made(**SASL, ca="/etc/ca.pem")}})
    assert set(coordinates(own)) - set(coordinates(plain)) == {*JARS, AVRO}
    assert fingerprint(plain) != fingerprint(own)
    assert certificates(own) == ("/etc/ca.pem",)
    private_home(drls_home, "engine")
    hand_over(own)
    assert "kanarienvogel" not in (drls_home / "engine/settings.json").read_text()
    assert engine_settings(drls_home).connections == own.connections


def test_l4_a_cluster_is_known_by_its_brokers_and_user(drls_home: Path) -> None:
    one = made(**SASL, bootstrap_servers=["B.example:1", "a.example:1"])
    same = made(
        **SASL | {"password": "file:/p"}, bootstrap_servers=["a.example:1", "b.example:1"], options={"client.id": "x"}
    )
    assert one.place == same.place
    assert one.place != made(**SASL | {"user": "other"}, bootstrap_servers=["a.example:1", "b.example:1"]).place
    assert one.place != made(**SASL).place


def test_a_file_of_settings_may_have_both_kinds_and_a_mistake_names_its_place(drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text(
        '[connections.shop]\ndriver = "postgresql"\nurl = "jdbc:postgresql://h/d"\n'
        '[connections.bus]\nkind = "kafka"\nbootstrap_servers = ["h:9092"]\nsecurity_protocol = "ssl"\n'
    )
    found = load_settings(drls_home)
    kinds = [one.kind for name in ("shop", "bus") if (one := found.connection_for(Environment.QA, name)) is not None]
    assert kinds == ["jdbc", "kafka"]


def test_spark_takes_the_login_out_of_the_text_of_requests(drls_home: Path) -> None:
    pattern = spark_conf(Settings(home=drls_home), [], 1)["spark.sql.redaction.string.regex"]
    text = 'options {\n  key: "kafka.sasl.jaas.config"\n  value: "x required password=\\"kana\\";"\n}'
    assert re.sub(pattern, "***", text) == "options {\n  ***\n}"
