"""Connections of environments to databases: what settings say of them, and which drivers and options DRLS knows."""
