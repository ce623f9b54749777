"""One file per verb: a compare-and-set with its audit row, idempotent by key, safe to repeat."""
