"""Requests to promote: asking for one, reviewing it, deciding it."""
