"""`python -m benchmarks.mcp_runs COUNT`: puts runs of a small job into the Dagster of DRLS_HOME; every third fails."""

import json
import sys

import dagster as dg

from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.settings import load_settings


@dg.op
def read(context: dg.OpExecutionContext) -> int:
    for number in range(20):
        context.log.info(f"read part {number}")
    return 1000


@dg.op
def check_good(rows: int) -> int:
    return rows


@dg.op
def check_bad(rows: int) -> int:
    raise dg.Failure(f"7 of {rows} rows have no id")


def _job(check: dg.OpDefinition) -> dg.JobDefinition:
    @dg.job(name="orders")
    def orders() -> None:
        check(read())

    return orders


def main() -> None:
    instance = instance_of(load_settings())
    made: list[tuple[str, bool]] = []
    for number in range(int(sys.argv[1])):
        job = _job(check_bad if number % 3 == 0 else check_good)
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        made.append((done.run_id, done.success))
    print(json.dumps(made))


if __name__ == "__main__":
    main()
