"""How well tables are kept, from metadata alone: numbers, a score, and its history."""

from __future__ import annotations
