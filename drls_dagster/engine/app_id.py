"""One application id for Spark's driver and its executors.

With `spark.authenticate`, whoever fetches a block names the application, and the other side compares. RayDP gives its
executors the id that its master made up, and leaves the driver with another (its scheduler does not implement
`applicationId`), so each would refuse the other's blocks. Here the driver's side takes the master's id, before the
first job. Spark has no setting for it: these are the four private fields that hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def agree_on_app_id(spark: SparkSession) -> str:
    """Returns the id. Raises Py4JError where Spark or RayDP no longer have these fields."""
    jvm: Any = spark._jvm  # pyright: ignore
    backend = spark._jsc.sc().schedulerBackend()  # pyright: ignore
    master_id = _get(backend, "org$apache$spark$scheduler$cluster$raydp$RayCoarseGrainedSchedulerBackend$$appId").get()
    service = jvm.org.apache.spark.SparkEnv.get().blockManager().blockTransferService()
    factory = _get(service, "clientFactory", above=2)
    _set(service, "appId", master_id, above=2)
    _set(_get(_get(service, "transportContext"), "rpcHandler"), "appId", master_id)
    for bootstrap in _get(factory, "clientBootstraps"):
        _set(bootstrap, "appId", master_id)
    return str(master_id)


def _field(of: Any, name: str, above: int) -> Any:
    """The field of a Java object, declared in its class or in one `above` that."""
    declares = of.getClass()
    for _ in range(above):
        declares = declares.getSuperclass()
    field = declares.getDeclaredField(name)
    field.setAccessible(True)
    return field


def _get(of: Any, name: str, above: int = 0) -> Any:
    return _field(of, name, above).get(of)


def _set(of: Any, name: str, value: str, above: int = 0) -> None:
    _field(of, name, above).set(of, value)
