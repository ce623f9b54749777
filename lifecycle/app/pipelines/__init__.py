"""Pipelines and their versions: the list, the pages, import and export."""
