"""What `drls up` serves: the lifecycle's API and Dagster's UI behind one door that asks who is there (A5)."""
