"""The Spark-on-Ray engine and what it needs from the machine."""
