"""One repository per aggregate: rows in, frozen domain values out."""
