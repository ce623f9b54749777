"""Finding 7 on the real engine: what was saved is what runs, wherever the files are and whatever they say now.

Failed on 0.1.0: outside of `pipelines/` the code was not found in QA ("not the code that was saved", or a FieldError).
"""

from __future__ import annotations

import pytest
from lab import sink
from lifecycle_lab import QA, LifecycleLab

from drls_dagster.steps.version_code import _codes

ETL = """
from pathlib import Path
from pyspark.sql.functions import udf
import own_words

def transform(spark, raw):
    def word(number):
        from own_words import WORD
        return f"{WORD} {number}"
    assert Path(own_words.__file__).exists()
    return raw.select("id", udf(word, "string")("id").alias("word"))
"""


def version(life: LifecycleLab, word: str) -> int:
    (life.landing / "own_etl.py").write_text(ETL)
    (life.landing / "own_words.py").write_text(f"WORD = {word!r}\n")
    step = {"id": "shaped", "type": "transform", "step": "spark", "entrypoint": "own_etl:transform"}
    return life.save(life.csv(), step, sink("out", life.named("out"), "overwrite"), flow="raw>shaped>out")


@pytest.mark.slow
def test_l2_qa_runs_the_code_that_was_saved_after_the_checkout_has_moved_on(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    life.promote(version(life, "first"), QA)
    (life.landing / "own_words.py").write_text("WORD = 'edited'\n")
    _codes.clear()  # as in a process of its own
    life.works(QA)
    assert life.on("out", "qa") == [(1, "first 1")]
    two = version(life, "second")
    for name in ("own_etl.py", "own_words.py"):
        (life.landing / name).unlink()
    _codes.clear()
    life.works(QA)
    assert life.on("out", "qa") == [(1, "first 1")]
    life.promote(two, QA)
    life.works(QA)
    assert life.on("out", "qa") == [(1, "second 1")]
