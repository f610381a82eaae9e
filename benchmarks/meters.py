"""Reads what processes use: CPU seconds by part, memory by process. Reads /proc only."""

from __future__ import annotations

from cluster.processes import list_family, read_cpu_s
from cluster.status import read_status
from tests.product import Product

PER_THOUSAND = 1000


class CpuMeter:
    """CPU seconds of named sets of processes since it was made."""

    def __init__(self, parts: dict[str, list[int]]) -> None:
        self._parts = parts
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """Return the CPU seconds of every part so far; processes that ended do not count."""
        now = self._read()
        return {name: now[name] - self._before[name] for name in self._parts}

    @staticmethod
    def read_total(pids: list[int]) -> float:
        """Return the CPU seconds that processes used since they began."""
        return sum(map(read_cpu_s, pids))

    def _read(self) -> dict[str, float]:
        return {name: sum(map(read_cpu_s, pids)) for name, pids in self._parts.items()}


def list_product_processes(product: Product) -> dict[str, list[int]]:
    """Return the processes of a product by kind of part: hosts together, edges together."""
    families: dict[str, list[int]] = {}
    for part in read_status(product.place, sample_s=0.0).parts:
        name = part.name.partition("-")[0] if part.kind in {"host", "edge"} else part.name
        families.setdefault(name, []).extend(part.pids)
    return families


def list_process_family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    return list_family(pid)
