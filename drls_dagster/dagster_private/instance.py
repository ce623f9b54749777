"""Which classes an instance is made of, and how to replace one of them."""

from __future__ import annotations

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import ConfigurableClassData


def open_as(ref: InstanceRef, own: type[dg.DagsterInstance]) -> dg.DagsterInstance:
    """The instance as one of class `own`. The reference that it hands to other processes stays `ref`."""
    data = ConfigurableClassData(own.__module__, own.__name__, "{}\n")
    instance = dg.DagsterInstance.from_ref(ref._replace(custom_instance_class_data=data))
    instance._ref = ref
    return instance
