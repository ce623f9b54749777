"""Sources: pinned once per run, then read as pinned (D1). One file per kind, a row each in `kinds`."""
