"""The REST routes, one file per group; who may call which is in `table`."""
