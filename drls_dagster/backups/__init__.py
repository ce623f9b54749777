"""Backups of an installation: store, ledger, chats, keys, settings and a SQLite catalog, in one folder."""
