"""docs/how-to/kafka.md: its settings load, and its pipeline is one."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.connections.kafka import KafkaConnection
from drls_dagster.connections.registry import RegistryConnection
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import KafkaSource, parse_pipeline
from tests.docs.pages import HOW_TO, all_blocks

PAGE = (HOW_TO / "kafka.md").read_text()


def test_its_connections_and_its_pipeline_fit_each_other(drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text("".join(all_blocks(PAGE, "toml")))
    settings = load_settings(drls_home)
    whole, *parts = all_blocks(PAGE, "yaml")
    specs = [parse_pipeline(text) for text in (whole, *(f"format_version: 1\nname: clicks\n{part}" for part in parts))]
    assert len(specs) > 1
    for spec, environment in product(specs, Environment):
        assert compile_pipeline(spec, environment, settings)
        for node in spec.sources:
            assert isinstance(node.source, KafkaSource)
            kinds = [type(settings.connection_for(environment, name)) for name in node.source.connections]
            assert kinds == [KafkaConnection, RegistryConnection][: len(kinds)]


def test_it_shows_each_protocol_and_says_what_is_encrypted() -> None:
    fields = KafkaConnection.model_fields
    for protocol in fields["security_protocol"].annotation.__args__:  # pyright: ignore[reportOptionalMemberAccess]
        default = " (default)" if protocol == fields["security_protocol"].default else ""
        assert f"| `{protocol}`{default} | {'yes' if protocol.endswith('ssl') else 'no'} |" in PAGE
