"""A real PostgreSQL for the tests: started once, one fresh database per test."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

_FOLDERS = ("/usr/local/bin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True))


class PostgresServer:
    """Gives fresh databases on a running server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._made = 0

    def fresh_database(self, template: str = "template0") -> str:
        """The SQLAlchemy URL of a new database."""
        self._made += 1
        name = f"drls_{os.getpid()}_{self._made}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql+psycopg2://drls@127.0.0.1:{self._port}/{name}"

    @contextmanager
    def own_database(self, template: str = "template0") -> Iterator[str]:
        """The same, removed in the end: hundreds of them take minutes to remove at once."""
        url = self.fresh_database(template)
        yield url
        self._do(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _do(self, command: str) -> None:
        connection = psycopg2.connect(host="127.0.0.1", port=self._port, user="drls", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)
        connection.close()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Runs a server until the block ends; PostgreSQL refuses root, so root hands it to `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="drls-postgres-"))
    as_user = _unprivileged(folder)
    data = folder / "data"
    subprocess.run(
        [_program("initdb"), "-D", data, "-U", "drls", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        check=True, stdout=subprocess.DEVNULL, env=_environment(), **as_user,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [_program("pg_ctl"), "-D", data, "-w", "-t", "60", "-l", folder / "log"]
    subprocess.run(
        [*control, "-o", options, "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=_environment(),
        **as_user,
    )
    try:
        yield PostgresServer(port)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, stdout=subprocess.DEVNULL, **as_user)
        # Tests left databases of hundreds of files. A test's time limit counts here, and Python takes its time.
        subprocess.run(["rm", "-rf", folder], check=True)


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")]))
    if found is None:
        raise RuntimeError(f"{name} is not installed; install Debian's package postgresql")
    return found


def _environment() -> dict[str, str]:
    return {"PATH": os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")]), "LC_ALL": "C"}


def _unprivileged(folder: Path) -> dict[str, object]:
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}
