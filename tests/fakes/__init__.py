"""Fakes of the ports: they keep the contracts, and run through the same suites as the adapters."""
