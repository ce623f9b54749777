"""What a `rayProcess` step asks of Ray, and how it fails."""

from __future__ import annotations

import uuid

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from drls_dagster.engine.step_code import SentCode
from drls_dagster.settings import FenceSettings

RETRIES = 3  # of a task whose worker or host died. Ray's own numbers are without end, also where the function kills it
File = tuple[str, int, int]  # path, rows, bytes


class StepCodeError(Exception):
    """The pipeline's own function failed, or gave back something else than its output schema says."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)  # both, so that the error survives pickling
        self.message = message
        self.details = details


class StepCrashed(Exception):
    """The processes of a step ended each time that it was tried."""


class ProcessRequest(BaseModel):
    """One `rayProcess` step: what to read, what to run on it, where to write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ticket: str = Field(default_factory=lambda: uuid.uuid4().hex)
    node: str
    inputs: tuple[tuple[str, ...], ...]  # Parquet files, those of a task together
    output: str  # folder or URI
    python: str | None = None
    entrypoint: str | None = None  # module:function
    code_digest: str | None = None  # of the entry point's package, when it is locked
    code: SentCode | None = None  # the version's local code
    batch_size: int
    cpus: float
    gpus: float
    concurrency: int
    output_schema: str  # Arrow schema, serialized, as hex
    fence: FenceSettings | None = None  # the runner's, which says it; whoever asks does not

    @property
    def schema_of_output(self) -> pa.Schema:
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.output_schema)))
