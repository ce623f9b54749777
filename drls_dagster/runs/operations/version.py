"""What the run executes: the version, as it was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Base64Bytes

from drls_dagster.runs.operation import operation
from drls_dagster.runs.releases import releases_of
from drls_dagster.runs.token import issue
from lifecycle.domain.releases import Release
from lifecycle.errors import Forbidden

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation(early=True, late=True)
def saved_version(run: Run) -> Release | None:
    """The version of the run's pipeline; None for a draft."""
    if run.ctx is None:
        return None
    found = releases_of(run.ctx, run.environment, {run.name: run.part.digest}, [run.name])
    return found[0] if found else None


@operation(early=True, late=True)
def code(run: Run, digests: set[str]) -> dict[str, Base64Bytes]:
    """Files of the version's code, by digest. Raises Forbidden for those of others; a draft has none here."""
    spec = run.spec
    if spec is None:
        return {}
    own = set(spec.lock.files.values()) if spec.lock is not None else set[str]()
    if not digests <= own:
        raise Forbidden(f"run {run.run_id} of {run.name} reads the code of its own version alone")
    with run.lifecycle.store.read() as view:
        return view.code.contents(digests)


@operation(early=True)
def renew(run: Run) -> str:
    """A fresh token of the same run, before the one that it has expires."""
    return issue(run.lifecycle, run.bound).text
