"""Argon2id with the least that it takes: for tests that are not about the cost of guessing."""

from __future__ import annotations

from argon2 import PasswordHasher

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
