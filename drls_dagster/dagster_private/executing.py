"""How a process executes one run, and what Dagster says of a process that ended before its run."""

from __future__ import annotations

from dagster._core.events import EngineEventData
from dagster._grpc.impl import core_execute_run
from dagster._utils import get_run_crash_explanation
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster._utils.interrupts import capture_interrupts
