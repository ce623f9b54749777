"""Connections, of which a run gets those that its version names, for its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.connections.kafka import KafkaConnection
from drls_dagster.connections.opened import AnyOpened, OpenedConnection, OpenedKafka, OpenedRegistry
from drls_dagster.connections.registry import RegistryConnection
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.fingerprints import fingerprint_of
from drls_dagster.runs.operation import operation
from drls_dagster.secret_source import read_secret
from lifecycle.errors import Forbidden

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation()
def connection(run: Run, name: str) -> AnyOpened:
    """The connection `name` of the run's environment, with its password.

    Raises Forbidden for one that the version does not name, and DrlsError where the settings have none, or where its
    password is not where they say. A draft names what it likes; it runs in development alone.
    """
    spec = run.spec
    named = {one for node in spec.sources for one in node.source.connections} if spec is not None else set[str]()
    if spec is not None and name not in named:
        raise Forbidden(f"run {run.run_id} of {run.name} does not read from a connection '{name[:63]}'")
    environment = run.environment
    found = run.settings.connection_for(environment, name)
    if found is None:
        raise DrlsError(
            f"there is no connection '{name}' in {environment.label}; set [connections.{name}] or "
            f"[environments.{environment}.connections.{name}] in drls.toml"
        )
    password = None if found.password is None else read_secret(f"connections.{name}.password", found.password)
    if isinstance(found, KafkaConnection):
        return OpenedKafka(
            name=name,
            servers=",".join(found.bootstrap_servers),
            protocol=found.security_protocol.upper(),
            mechanism=found.sasl_mechanism,
            user=found.user,
            password=password,
            ca=found.ca,
            options=found.options,
            fingerprint=fingerprint_of({"kind": "kafka", "at": found.place}),
        )
    if isinstance(found, RegistryConnection):
        return OpenedRegistry(
            name=name,
            url=found.url,
            user=found.user,
            password=password,
            ca=found.ca,
            fingerprint=fingerprint_of({"kind": "registry", "at": found.place}),
        )
    fixed = {} if found.database is None else found.database.fixed
    return OpenedConnection(
        name=name,
        driver=found.driver,
        driver_class=found.driver_class,
        url=found.url,
        user=found.user,
        password=password,
        options={**fixed, **found.options},
        fetch_size=found.fetch_size,
        fingerprint=fingerprint_of({"kind": "jdbc", "at": found.place}),
    )
