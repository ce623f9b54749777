"""`make bench`: every claim of speed as a ratio whose two sides are measured in one run, in turn."""
