"""Checks a bundle without a store: signature, digests, approvals, and its slice of the audit log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from lifecycle.audit.keys import is_signed
from lifecycle.bundle.content import Approval, Bundle
from lifecycle.bundle.envelope import read_bundle
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State, Verdict
from lifecycle.domain.version import Label


def verify_bundle(data: bytes, trusted: Iterable[str]) -> tuple[Bundle, tuple[str, ...]]:
    """The content and everything that is wrong with it. Raises Invalid when the signature does not fit."""
    keys = tuple(trusted)
    bundle = read_bundle(data, keys)
    return bundle, tuple(_problems(bundle, keys))


def _problems(bundle: Bundle, keys: tuple[str, ...]) -> Iterable[str]:
    digest = "sha256:" + hashlib.sha256(bundle.version.spec.encode()).hexdigest()
    if digest != bundle.version.digest:
        yield f"the spec has the digest {digest}, not {bundle.version.digest}"
    yield from _of_code(bundle)
    if not any(is_signed(bundle.head, key) for key in keys):
        yield "the audit head is not signed by a trusted key"
    for approval in bundle.approvals:
        yield from _of_approval(approval, digest)
    for entry in bundle.log:
        if entry.hash != entry.expected_hash(bundle.head.log):
            yield f"audit entry {entry.sequence} was edited"
        if entry.sequence > bundle.head.sequence:
            yield f"audit entry {entry.sequence} is newer than the head"
    done = {one.promotion.id for one in bundle.approvals if one.promotion.state is State.DONE}
    for deployment in bundle.deployments:
        if deployment.deployed_digest != digest:
            yield f"deployment {deployment.id} has another digest"
        if deployment.environment in (Environment.UAT, Environment.PRODUCTION):
            if deployment.label is Label.FREE:
                yield f"deployment {deployment.id} was neither approved nor labelled unreviewed"
            if deployment.promotion_id not in done:
                yield f"deployment {deployment.id} has no finished request"


def _of_code(bundle: Bundle) -> Iterable[str]:
    lock: dict[str, Any] = json.loads(bundle.version.spec).get("lock", {})
    wanted: dict[str, str] = lock.get("files", {})
    files = bundle.files()
    for path, digest in wanted.items():
        if path not in files:
            yield f"the file {path} of the version's code is missing"
        elif "sha256:" + hashlib.sha256(files[path]).hexdigest() != digest:
            yield f"the file {path} of the version's code does not match the version"
    for path in files.keys() - wanted.keys():
        yield f"the file {path} is not among the version's code"


def _of_approval(approval: Approval, digest: str) -> Iterable[str]:
    promotion = approval.promotion
    if promotion.plan.digest != promotion.plan_digest:
        yield f"the plan of request {promotion.id} is not the one that was approved"
    if promotion.plan.spec_digest != digest:
        yield f"request {promotion.id} is about another spec"
    for decision in approval.decisions:
        if decision.verdict is Verdict.APPROVE and decision.plan_digest != promotion.plan_digest:
            yield f"decision {decision.id} approved another plan than request {promotion.id} has"
