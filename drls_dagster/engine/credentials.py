"""The secrets of one engine start, and the options that make Spark ask for its own.

All are new at each start and travel in the environment of the engine's processes, never in a file, a command line or a
configuration that a session can print.
"""

from __future__ import annotations

import secrets

# The names of variables.
SPARK_SECRET = "_SPARK_AUTH_SECRET"  # noqa: S105
RAY_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105
CONNECT_TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # noqa: S105
# A process in which a pipeline's code runs must not inherit these.
OF_THE_ENGINE = (SPARK_SECRET, RAY_TOKEN, CONNECT_TOKEN)

_AUTHENTICATION = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.network.crypto.saslFallback": "false",
}


def engine_secrets() -> dict[str, str]:
    """The environment that Ray and Spark of one start find their secrets in.

    Only where DRLS starts Ray: a cluster that already runs has a token of its own, and its workers would not know
    Spark's secret.
    """
    return {SPARK_SECRET: secrets.token_hex(32), RAY_TOKEN: secrets.token_hex(32), "RAY_AUTH_MODE": "token"}


def spark_authentication() -> dict[str, str]:
    """Spark's configuration: every process proves the secret, and what they send is encrypted and tamper-proof."""
    # Spark insists on a secret in its configuration; where there is one in the environment it takes that.
    return {**_AUTHENTICATION, "spark.authenticate.secret": f"in the environment, as {SPARK_SECRET}"}


def java_authentication() -> list[str]:
    """The same as Java options: RayDP's master and executors talk to each other before they have a configuration."""
    return [f"-D{name}={value}" for name, value in _AUTHENTICATION.items()]
