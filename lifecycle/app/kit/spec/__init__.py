"""A pipeline's spec as pages draw it: its graph, its nodes, and what changed between two versions."""
