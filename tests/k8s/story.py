"""What the tests of the flights example have in common."""

from __future__ import annotations

import secrets

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State
from lifecycle.verbs.answers import Request
from tests.deploy.rendered import CHECKOUT
from tests.k8s.people import Person
from tests.waiting import wait_until

EXAMPLE = CHECKOUT / "examples" / "flights" / "flights_daily.yaml"
# A node that is kept has those of earlier tests.
FLIGHTS = f"flights_{secrets.token_hex(3)}"
JUNE = "2013-06-01"


def run_well(person: Person, environment: Environment, partition: str = JUNE) -> str:
    """The id of a run of the newest version that succeeded, once the environment's code location has this version."""
    newest = person.lifecycle.pipelines.version(FLIGHTS).digest
    wait_until(lambda: (person.lifecycle.environments.loaded(environment) or {}).get(FLIGHTS) == newest, 180)
    run = person.launch(FLIGHTS, environment, partition)
    status = person.ended(run)
    assert status == "SUCCESS", person.lifecycle.runs.explain(run)
    return run


def approved(approver: Person, asked: Request) -> None:
    """With this approval it is executed."""
    done = approver.lifecycle.promotions.approve(asked.id, asked.plan_digest)
    assert done.state is State.DONE, done
