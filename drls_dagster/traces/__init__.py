"""Traces for OpenTelemetry, by setting: from a request to the published snapshot, with names and numbers, no data."""
