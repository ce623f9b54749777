"""Databases as sources: what is read is staged once per run, because no database keeps what it was (D2)."""
