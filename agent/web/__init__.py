"""What agents bring to the web app: a section, loaded by its dotted name."""
