"""The words for Spark's errors name conditions and parameters that this release of Spark has (finding 26)."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyspark
import pytest

from drls_dagster.engine.spark_rare_words import RARE
from drls_dagster.engine.spark_words import CONDITIONS


def conditions() -> dict[str, Any]:
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("spark-common-utils_*.jar")
    with zipfile.ZipFile(jar) as packed:
        return json.loads(packed.read("error/error-conditions.json"))


def test_no_condition_has_words_twice() -> None:
    assert not CONDITIONS.keys() & RARE.keys()


@pytest.mark.parametrize("words", [CONDITIONS, RARE])
def test_words_use_parameters_that_come_with_the_condition(words: dict[str, tuple[str, str]]) -> None:
    """Failed before for a field of a struct: a parameter had another name, and so people saw Spark's sentence."""
    known = conditions()
    wrong: list[str] = []
    for condition, (what, remedy) in words.items():
        name, _, part = condition.partition(".")
        parts = known.get(name, {}).get("subClass", {})
        if name not in known or (part and part not in parts):
            wrong.append(f"{condition} is not there")
            continue
        texts = [known[name], *([parts[part]] if part else parts.values())]
        has = set(re.findall(r"<(\w+)>", " ".join(" ".join(text["message"]) for text in texts)))
        wrong += [f"{condition} has no {one}" for one in re.findall(r"\{(\w+)\}", what + remedy) if one not in has]
    assert wrong == []
