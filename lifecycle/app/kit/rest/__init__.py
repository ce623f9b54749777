"""REST: the routes of the verbs, and what all routes share: the door, the guard, problems."""
