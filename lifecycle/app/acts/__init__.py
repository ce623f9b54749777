"""The pages on which people act on a release or an environment: roll back, freeze, stop, break the glass."""
