"""The warm Spark-on-Ray engine: one per DRLS_HOME, started by its first user, stopped when idle.

Two processes: the *driver* owns Ray, RayDP and a Spark Connect server on loopback; the *runner* owns a Ray
job of its own for `rayProcess` steps. `client` is what the rest of DRLS uses.
"""
