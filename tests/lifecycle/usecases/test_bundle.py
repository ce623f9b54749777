"""Export and import: signed, checked offline, approvals dropped."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from lifecycle.audit.keys import SigningKey
from lifecycle.bundle import read_bundle, verify_bundle, write_bundle
from lifecycle.bundle.envelope import MAX_BYTES
from lifecycle.domain.environment import Environment
from lifecycle.errors import Invalid
from lifecycle.store.store import Store
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.import_version import import_version
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import PRODUCTION, Life


@pytest.fixture
def exported(life: Life) -> bytes:
    life.to_production(life.save())
    return export_version(life.ctx, life.as_("vic"), "flights", 1)


def test_a_bundle_is_checked_without_the_store(life: Life, exported: bytes) -> None:
    bundle, problems = verify_bundle(exported, [life.store.signing_key.public])
    assert problems == ()
    assert [one.promotion.target for one in bundle.approvals][-1] is PRODUCTION
    assert len(bundle.receipts) == 6
    assert {"version.saved", "promotion.approved_by", "promotion.done"} <= {entry.verb for entry in bundle.log}


def test_one_changed_byte_is_refused(life: Life, exported: bytes) -> None:
    chance = random.Random(4)
    payload = bytearray(base64.b64decode(json.loads(exported)["payload"]))
    for _ in range(200):
        changed = bytearray(payload)
        place = chance.randrange(len(changed))
        changed[place] ^= 1 << chance.randrange(8)
        document = {**json.loads(exported), "payload": base64.b64encode(changed).decode()}
        with pytest.raises(Invalid):
            read_bundle(json.dumps(document).encode(), [life.store.signing_key.public])


def test_another_key_is_refused(exported: bytes) -> None:
    with pytest.raises(Invalid, match="trusted key"):
        read_bundle(exported, [SigningKey.generate().public])


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"payload": 1}', b"[" * 1000, b"x" * (MAX_BYTES + 1)],
    ids=len,
)
def test_what_is_no_bundle_is_refused(life: Life, data: bytes) -> None:
    with pytest.raises(Invalid):
        read_bundle(data, [life.store.signing_key.public])


def test_what_a_trusted_key_signed_wrongly_is_found(life: Life, exported: bytes) -> None:
    bundle = read_bundle(exported, [life.store.signing_key.public])
    entry = bundle.log[0].model_copy(update={"verb": "other"})
    promotion = bundle.approvals[-1].promotion
    plan = promotion.plan.model_copy(update={"carry_reason": "other"})
    forged = bundle.model_copy(
        update={
            "log": (entry, *bundle.log[1:]),
            "approvals": (
                *bundle.approvals[:-1],
                bundle.approvals[-1].model_copy(update={"promotion": promotion.model_copy(update={"plan": plan})}),
            ),
            "version": bundle.version.model_copy(update={"spec": bundle.version.spec + " "}),
        }
    )
    _, problems = verify_bundle(write_bundle(forged, life.store.signing_key), [life.store.signing_key.public])
    assert len(problems) >= 3


def test_an_import_lands_in_development_without_approvals_and_keeps_its_provenance(
    exported: bytes, life: Life, tmp_path: Path, sqlite_template: Path, clock: FakeClock
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    key = SigningKey.generate()
    other = Life(Store.create(f"sqlite:///{folder / 'lifecycle.db'}", key, clock), folder, clock)
    with pytest.raises(Invalid, match="trusted key"):
        import_version(other.ctx, other.as_("eve"), exported)
    version = import_version(other.ctx, other.as_("eve"), exported, trusted=[life.store.signing_key.public])
    assert [other.active_number(one) for one in Environment] == [1, None, None, None]
    assert version.origin["kind"] == "imported"
    assert version.origin["version"] == 1
    with other.store.read() as view:
        assert view.promotions.list() == ()
    other.store.close()
