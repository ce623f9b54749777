"""What a failed step says, and whether a retry could help."""

from __future__ import annotations

import pytest

from drls_dagster.assets.failures import ToldFailure, as_failure
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import CatalogFailed, CatalogFault
from lifecycle.errors import Refused, StoreError


@pytest.mark.parametrize("error", [CatalogFailed("the catalog is down"), StoreError("the store was busy")])
def test_a_step_that_an_outage_ended_may_be_retried(error: DrlsError) -> None:
    """Finding 18; on 0.1.0 a retry policy was of no use when the catalog was down for a moment."""
    with pytest.raises(ToldFailure, match=str(error)) as told, as_failure("sink"):
        raise error
    assert told.value.allow_retries


@pytest.mark.parametrize("error", [Refused("stopped"), CatalogFault("a broken table"), DrlsError("rows failed")])
def test_a_step_that_would_fail_again_is_not_retried(error: DrlsError) -> None:
    """Finding 18."""
    with pytest.raises(ToldFailure, match=str(error)) as told, as_failure("sink"):
        raise error
    assert not told.value.allow_retries
