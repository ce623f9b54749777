"""Numbers for Prometheus: requests as the server counts them, everything else as the store has it."""
