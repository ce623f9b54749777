"""The lifecycle's rule, asked wherever a run could get past it: definitions, queue, launch, step, publish."""
