"""What `socialflow status` prints for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.status import ProductStatus, get_title


def print_status(console: Console, found: ProductStatus) -> None:
    """Print every part with what it uses, then the nodes when there are several."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("part", "health", "process", "CPU %", "PSS MB", "since"):
        right = title in {"CPU %", "PSS MB", "since"}
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    colours = {"healthy": "green", "stopped": "dim"}
    for part in found.parts:
        pids = " ".join(str(pid) for pid in part.pids[:3]) + (" …" if len(part.pids) > 3 else "")
        table.add_row(
            get_title(part.name),
            f"[{colours.get(part.health, 'yellow')}]{part.health}[/]",
            pids,
            f"{part.cpu_percent:.1f}",
            f"{part.pss_mb:.1f}",
            _show_age(part.uptime_s),
        )
    table.add_row("in all", "", "", f"{found.cpu_percent:.1f}", f"{found.pss_mb:.1f}", "")
    console.print(f"  {found.state}   {found.url}   {found.home}", highlight=False)
    if found.state != "stopped":
        console.print(table)
        _print_nodes(console, found.facts.get("nodes") or [])
    for part in found.parts:
        if part.fault:
            console.print(f"  {part.name}: {part.fault}", markup=False, highlight=False)


def _print_nodes(console: Console, nodes: list[dict[str, Any]]) -> None:
    if len(nodes) < 2:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("node", "state", "address", "hosts", "edges", "API", "media"):
        table.add_column(
            title, justify="left" if title in {"node", "state", "address"} else "right"
        )
    for node in nodes:
        table.add_row(
            f"{node['name']}{' (head)' if node['is_head'] else ''}",
            "[green]alive[/]" if node["is_alive"] else "[yellow]lost[/]",
            node["address"],
            *(str(node[kind]) for kind in ("host", "edge", "api", "media")),
        )
    console.print(table)


def _show_age(age_s: float) -> str:
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if age_s >= size_s:
            return f"{age_s / size_s:.0f} {unit}"
    return f"{age_s:.0f} s" if age_s else ""
