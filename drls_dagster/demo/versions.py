"""The versions of the story: the flights example, a change that is wrong, the change put right, and one more."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.pipeline_files import load_folder
from lifecycle.spec import PipelineSpec, parse_pipeline

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from lifecycle.usecases.context import Context

_BASE = "flights_demo"
# A missing record of the weather is calm, dry and clear. June has all records, July and August have not.
_CAREFUL = "coalesce(w.wind_speed, 0) AS wind_speed, coalesce(w.precip, 0) AS precip, coalesce(w.visib, 10) AS visib"
_CARELESS = "w.wind_speed, w.precip, w.visib"
_WITH_WIND = (
    ('"dep_delay", "air_time"]', '"dep_delay", "air_time", "wind_speed"]'),
    ("air_time: double,\n       km", "air_time: double,\n       wind_speed: double, km"),
    ("avg(risk) AS mean_risk", "avg(risk) AS mean_risk, avg(wind_speed) AS mean_wind"),
)


def fresh_name(ctx: Context, catalog: Catalog, drafts: Path) -> str:
    """A name that no pipeline has or had (L16), no file in the folder `drafts`, and no namespace of the catalog."""
    taken = {namespace[0].partition("__")[0] for namespace in catalog.list_namespaces()}
    taken |= {one.name for one in load_folder(drafts)}
    with ctx.store.read() as view:
        for number in itertools.count(1):
            name = _BASE if number == 1 else f"{_BASE}_{number}"
            if name not in taken and view.pipelines.find(name) is None:
                return name
    raise AssertionError("unreachable")


def first(example: Path, name: str) -> PipelineSpec:
    """v1: the example under another name, and without its schedule, so that nothing runs automatically later."""
    return parse_pipeline(_first(example, name))


def second(example: Path, name: str) -> PipelineSpec:
    """v2: a column for the mean wind, and weather taken as complete, which it is in June."""
    return parse_pipeline(_edited(_first(example, name), *_WITH_WIND, (_CAREFUL, _CARELESS)))


def third(example: Path, name: str) -> PipelineSpec:
    """v3: the column, and the missing weather again as in v1."""
    return parse_pipeline(_edited(_first(example, name), *_WITH_WIND))


def fourth(example: Path, name: str) -> PipelineSpec:
    """v4: as v3, and late is who leaves more than 20 minutes late instead of 15."""
    edits = (*_WITH_WIND, ("CAST(dep_delay > 15 AS DOUBLE)", "CAST(dep_delay > 20 AS DOUBLE)"))
    return parse_pipeline(_edited(_first(example, name), *edits))


def _first(example: Path, name: str) -> str:
    text = re.sub(r"^schedule:.*\n", "", example.read_text(), flags=re.MULTILINE)
    return _edited(text, ("name: flights_daily", f"name: {name}"), ("table: flights.", f"table: {name}."))


def _edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        if old not in text:
            raise DrlsError(f"the flights example was changed: the demo's story does not find {old!r} in it")
        text = text.replace(old, new)
    return text
