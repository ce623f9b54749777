"""Export bundles: what a version says and how it was approved, signed, checked without a store."""

from __future__ import annotations

from lifecycle.bundle.content import Bundle
from lifecycle.bundle.envelope import read_bundle, write_bundle
from lifecycle.bundle.verify import verify_bundle

__all__ = ["Bundle", "read_bundle", "verify_bundle", "write_bundle"]
