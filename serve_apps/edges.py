"""The edge class with what a finished upload means, apart from the wiring of the rest.

An edge's process imports this module and nothing of the API, the jobs or Serve: that is a third of
what it would weigh otherwise, and a second less until it is back after a death.
"""

from __future__ import annotations

from serve_apps.edge.shell import EdgeShell
from serve_apps.edge.upload_writer import UploadRules
from serve_apps.videos import arrivals, quota
from serve_apps.videos import service as video_rules

UPLOAD_RULES = UploadRules(
    open=arrivals.open_file,
    describe=arrivals.describe_file,
    declare=quota.declare_size,
    grow=quota.check_growth,
    foresee=arrivals.foresee_end,
    finish=video_rules.finish_upload,
    terminate=video_rules.terminate_upload,
)
"""What an upload means to videos."""


class Edge(EdgeShell):
    """An edge that knows what a finished upload means."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot, UPLOAD_RULES)
