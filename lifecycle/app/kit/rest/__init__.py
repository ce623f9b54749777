"""What the REST routes share: the door, the guard and its table, problems, models."""
