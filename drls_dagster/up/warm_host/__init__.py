"""The warm host: one process of `drls up` that has the imports done, and forks runs and code servers (ADR 49)."""
