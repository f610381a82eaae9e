"""A small Ray of a test's own: no product, no dashboard, nothing printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def lend_ray(*, cpus: int = 1, **resources: float) -> Iterator[None]:
    """Start Ray in this process with these resources beside its CPUs; end it afterwards.

    Ray keeps as many idle workers as it has CPUs.
    """
    ray.init(
        address="local",  # never a product that runs on this machine
        num_cpus=cpus,
        resources=resources,
        include_dashboard=False,
        object_store_memory=100 << 20,
        configure_logging=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()
