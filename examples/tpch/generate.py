"""Make TPC-H data where the pipeline looks for it: `python examples/tpch/generate.py --scale 1`.

Needs tpchgen-cli (`pip install tpchgen-cli`). At scale 1 the six tables have 7.7 million rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

TABLES = ("customer", "lineitem", "nation", "orders", "region", "supplier")


def generate(landing: Path, scale: float) -> Path:
    """Write the tables as Parquet into `landing`/tpch, replacing what is there. Gives the folder.

    Raises FileNotFoundError where tpchgen-cli is not installed, CalledProcessError where it fails.
    """
    beside = Path(sys.executable).with_name("tpchgen-cli")
    program = str(beside) if beside.is_file() else shutil.which("tpchgen-cli")
    if program is None:
        raise FileNotFoundError("tpchgen-cli is not installed; run `pip install tpchgen-cli`")
    folder = landing / "tpch"
    folder.mkdir(parents=True, exist_ok=True)
    tables = ",".join(TABLES)
    command = [program, "parquet", "-s", str(scale), "--tables", tables, "--overwrite", "-o", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", type=float, default=0.1, help="1 is 1 GB of text; default: %(default)s")
    arguments.add_argument("--landing", type=Path, help="default: DRLS_HOME/landing")
    given = arguments.parse_args()
    home = Path(os.environ.get("DRLS_HOME") or "~/.drls").expanduser()
    print(generate(given.landing or home / "landing", given.scale))


if __name__ == "__main__":
    main()
