"""One SELECT over pinned tables, in a process of its own that can be ended.

DuckDB's memory limit does not hold for everything that it does, and some of that it does not interrupt.

The text is parsed and written anew: what DuckDB runs was looked at, and names no table but those that were allowed.
"""
