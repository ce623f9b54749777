"""Runs and the platform: the run token, and the service through which a run asks for everything that it may have."""
