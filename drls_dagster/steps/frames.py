"""Frames: each node as a Spark DataFrame, built once per run and recipe (D2).

A frame is known by its node and by how every source above it is read, so two sinks that stand at different
positions get different frames of the same node.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.steps.run import PipelineRun, Reads
from lifecycle.spec import RayProcessTransform, SourceNode, SparkTransform

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame


class Frames:
    """The frames of one run in one Spark session."""

    def __init__(self, run: PipelineRun) -> None:
        self.run = run
        self._session_id = ""
        self._frames: dict[str, DataFrame] = {}

    def frame(self, node_id: str, reads: Reads) -> DataFrame:
        """The DataFrame of a source or transform, its upstream frames built first."""
        session = self.run.session
        if session.session_id != self._session_id:  # the engine was restarted: its frames are gone with it
            self._frames.clear()
            self._session_id = session.session_id
        key = self.key(node_id, reads)
        if key not in self._frames:
            self._frames[key] = self._build(node_id, reads, key)
        return self._frames[key]

    def key(self, node_id: str, reads: Reads) -> str:
        """Names the recipe: the node, and the reads of the sources above it."""
        above = {*self.run.spec.ancestors(node_id), node_id}
        relevant = {name: [read.pin, read.start, read.end] for name, read in reads.items() if name in above}
        text = json.dumps([node_id, relevant, self.run.window.id if self.run.window else ""], sort_keys=True)
        return f"{node_id}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def view(self, node_id: str, reads: Reads) -> str:
        """The node's frame as a temporary view of a name that no other recipe has.

        Over Connect a frame is analysed again at each action: a view that is replaced would change what older
        frames mean.
        """
        frame = self.frame(node_id, reads)
        name = f"drls_{self.key(node_id, reads)}"
        frame.createOrReplaceTempView(name)
        return name

    def _build(self, node_id: str, reads: Reads, key: str) -> DataFrame:
        from drls_dagster.steps import ray_process, spark
        from drls_dagster.steps.sources import read_source

        node = self.run.spec.node(node_id)
        if isinstance(node, SourceNode):
            read = reads[node_id]
            return read_source(self.run.session.spark, node, read.pin, read.start, read.end)
        if isinstance(node, SparkTransform):
            return spark.build(self, node, reads)
        if isinstance(node, RayProcessTransform):
            return ray_process.build(self, node, reads, key)
        raise DrlsError(f"node '{node_id}': this release does not run it as a frame")
