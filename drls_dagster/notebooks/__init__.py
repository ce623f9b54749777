"""Notebooks: marimo for each person, in a fence of its own, and what it may ask the platform for."""
