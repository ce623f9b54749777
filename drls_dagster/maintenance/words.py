"""What an operation did, in words."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.domain.operations import CompactResult, ExpireResult, ManifestResult, OrphanResult, Result


def result_in_words(found: Result, size: Callable[[int], str]) -> str:
    """One line; `size` says how a number of bytes is written."""
    match found:
        case CompactResult():
            deletes = f", {found.applied_deletes:,} row deletes applied" if found.applied_deletes else ""
            sizes = f"{size(found.rewritten_bytes)} -> {size(found.new_bytes)}"
            return f"{found.rewritten_files:,} files rewritten as {found.new_files:,}, {sizes}{deletes}"
        case ManifestResult():
            return f"{found.rewritten_manifests:,} manifests rewritten as {found.new_manifests:,}"
        case ExpireResult():
            deleted = f"{found.deleted_files:,} files deleted, {size(found.deleted_bytes)}"
            return f"{found.expired_count:,} snapshots expired, {found.remaining_count:,} remain; {deleted}"
        case OrphanResult():
            if found.dry_run:
                return f"{found.orphan_count:,} orphan files, none removed"
            removed = f"{found.removed_count:,} of {found.orphan_count:,} orphan files removed"
            return f"{removed}, {size(found.removed_bytes)}"
        case _:
            parts = (found.compact, found.manifests, found.expire, found.orphans)
            said = "; ".join(result_in_words(part, size) for part in parts if part is not None)
            return said or "nothing was needed"
