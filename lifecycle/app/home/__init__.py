"""The home page: what waits for the visitor, and the board."""
