"""The store: one database, SQLite for one machine or PostgreSQL for a team, behind `Store`."""
