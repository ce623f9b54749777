"""Sections of the web app about what runs: each brings its pages to a site, which names it by its dotted path."""
