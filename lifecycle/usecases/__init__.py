"""One file per verb. Each verb is one compare-and-set with its audit row, idempotent by key, safe to repeat."""
