"""Topics of Kafka as sources: bounded reads between offsets that a run has pinned."""
