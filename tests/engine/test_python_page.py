"""docs/how-to/python.md: its program runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab

from drls_dagster.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/how-to/python.md"


def test_the_program_of_the_page_runs_and_prints_its_rows(engine: Settings, lab: Lab, tmp_path: Path) -> None:
    program = "".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    program = program.replace("sales.revenue", lab.named("revenue")).replace('"orders")', f'"{lab.name}")')
    lab.file("a.csv", "country,amount\nde,10\nde,5\nfr,2\n")
    program = program.replace("orders/*.csv", lab.path("*.csv"))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=280,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "DRLS_HOME": str(engine.home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert told.startswith("succeeded {'daily': 'done', 'revenue': 'done'} 2 17.0 [('de', 15.0)] 1 ")
    assert told.endswith("country revenue 0 de 30.0")
