"""What processes of the product are started with: plain functions from settings to variables.

Settings travel as the path of a file, never as values. Whatever the terminal had set for the
product or for Ray is left out, so that a process restarted tomorrow reads the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cluster.home import Home
from cluster.keys import ClusterKeys
from kit.settings import ALIASES, HOME_VARIABLE, SETTINGS_VARIABLE, Settings

PROJECT_ROOT = Path(__file__).resolve().parents[1]
OWN_PREFIXES = ("SOCIALFLOW_", "RAY_", "FLAGS_")

# Ray's own names. Each is here because something measured went wrong or was wasted without it.
RAY_FIXED = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray looks for no other address than the given one, and a laptop that changes networks keeps
    # its Ray.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray would start one idle Python per core, and nice every worker to 15.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    "RAY_enable_metrics_collection": "0",
    # Every process would report its calls to the control service once a second; nobody asks.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_ROTATION_MAX_BYTES": str(20 << 20),
    "RAY_ROTATION_BACKUP_COUNT": "2",
    # Half the CPU per handle call (1-1.8 ms); without the ports of Serve's own ingress.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Looking ten times a second is what an idle product spends most on.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
}
RAY_GUARDED = {"RAY_AUTH_MODE": "token", "RAY_USE_TLS": "1"}
BRISK = {
    # A node whose process ended refuses every check, and is given up after four of them: 3 s
    # instead of 15. One that is merely starved, the head's own included, has 5 s for each answer;
    # with 1 s a busy machine lost all it carried. For a head that has invited others.
    "RAY_health_check_initial_delay_ms": "3000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
}
THRIFT = {
    # Two allocator arenas instead of eight per core: 5-10 MB less in every process with threads.
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def make_environment(
    home: Home,
    settings: Settings,
    keys: ClusterKeys,
    inherited: Mapping[str, str],
    *,
    is_brisk: bool = False,
) -> dict[str, str]:
    """Return the variables of the supervisor and of all it starts."""
    own = {SETTINGS_VARIABLE, HOME_VARIABLE, *ALIASES}
    joins_cluster = bool(settings.cluster.ray_address)
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in own
        and (not name.startswith(OWN_PREFIXES) or (joins_cluster and name.startswith("RAY_")))
    }
    path = [entry for entry in inherited.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if str(PROJECT_ROOT) not in path:
        path.append(str(PROJECT_ROOT))
    return {
        **kept,
        **THRIFT,
        **({} if joins_cluster else make_ray_variables(settings, keys)),
        **(BRISK if is_brisk else {}),
        SETTINGS_VARIABLE: str(home.running_settings_file),
        HOME_VARIABLE: str(home.root),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
    }


def make_ray_variables(settings: Settings, keys: ClusterKeys) -> dict[str, str]:
    """Return what every process of a local Ray must agree on."""
    cores = os.cpu_count() or 1
    return {
        **RAY_FIXED,
        **RAY_GUARDED,
        "RAY_AUTH_TOKEN_PATH": str(keys.token),
        "RAY_TLS_CA_CERT": str(keys.authority),
        "RAY_TLS_SERVER_CERT": str(keys.certificate),
        "RAY_TLS_SERVER_KEY": str(keys.private_key),
        "RAY_worker_maximum_startup_concurrency": str(max(2, cores)),
        "RAY_num_workers_soft_limit": str(settings.cluster.media_workers),
    }
