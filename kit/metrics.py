"""Every metric, declared once: the unit closes the name, labels come from closed sets.

Each process counts for itself and writes Prometheus's text; docs/operations.md says where to read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["CONTENT_TYPE", "join_metrics", "label", "write_metrics"]

Labelled = TypeVar("Labelled", Counter, Gauge, Histogram)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Counter(
    "socialflow_http_requests_total", "API requests.", ["method", "route", "status"]
)
HTTP_DURATION = Histogram(
    "socialflow_http_request_duration_seconds", "API time.", ["route"], buckets=SECONDS
)
RATE_REFUSALS = Counter("socialflow_rate_refusals_total", "Requests over a rate tier.", ["tier"])
DB_POOL_TIMEOUTS = Counter("socialflow_db_pool_timeouts_total", "Waits that found no connection.")
EVENTS_DELIVERED = Counter("socialflow_events_delivered_total", "Outbox deliveries.", ["listener"])
EVENTS_FAILED = Counter("socialflow_events_failed_total", "Failed deliveries.", ["listener"])
JOBS_FINISHED = Counter("socialflow_jobs_finished_total", "Finished jobs.", ["job", "outcome"])
SOCKETS_OPEN = Gauge("socialflow_sockets_open", "Open WebSockets on this edge.")
SOCKETS_DROPPED = Counter("socialflow_sockets_dropped_total", "Sockets closed by us.", ["reason"])
SOCKETS_REFUSED = Counter(
    "socialflow_sockets_refused_total", "Connections refused at the door.", ["reason"]
)
HLS_VIEWERS_UNCOUNTED = Counter(
    "socialflow_hls_viewers_uncounted_total", "Players by HLS beyond what an edge counts."
)
WATCH_REPORTS = Counter(
    "socialflow_watch_reports_total", "What players told of watching lives.", ["outcome"]
)
SOCKETS_SLOW = Gauge("socialflow_sockets_slow", "Connections that do not read fast enough.")
SOCKETS_HELD_BACK = Counter(
    "socialflow_sockets_held_back_total", "Times a slow connection's events began to wait."
)
SOCKETS_UNREAD = Gauge("socialflow_sockets_unread_bytes", "Bytes waiting for slow connections.")
SOCKET_RESUMES = Counter(
    "socialflow_socket_resumes_total",
    "Subscriptions with an offset, by what served it.",
    ["source"],
)
SOCKET_DELIVERIES = Counter(
    "socialflow_socket_deliveries_total", "Frames written to followers.", ["kind"]
)
ENTRIES_STORED = Counter(
    "socialflow_entries_stored_total",
    "Committed entries of durable channels.",
    ["kind", "entry"],
)
COMMANDS_REFUSED = Counter(
    "socialflow_commands_refused_total", "Commands a hosted object refused.", ["kind", "code"]
)
OBJECTS_RUNNING = Gauge("socialflow_objects_running", "Hosted objects in memory.", ["kind"])
OBJECTS_FAILED = Counter(
    "socialflow_objects_failed_total", "Times a hosted object broke an invariant.", ["kind"]
)
MOVES = Counter("socialflow_moves_total", "Hosted objects handed to another host.", ["kind"])
MAILBOX_DEPTH = Histogram(
    "socialflow_mailbox_depth_entries",
    "What waits for storage in an object as its tick begins.",
    ["kind"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
TICK_DURATION = Histogram(
    "socialflow_tick_duration_seconds", "Writing one tick.", ["kind"], buckets=SECONDS
)
TICK_ENTRIES = Histogram(
    "socialflow_tick_entries",
    "Entries written by one tick.",
    ["kind"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
PASSIVATIONS = Counter(
    "socialflow_passivations_total",
    "Hosted objects put away: idle, moved, drained, displaced by another owner, or broken.",
    ["kind", "why"],
)
FANOUT_MESSAGES = Counter(
    "socialflow_fanout_messages_total", "What hosts told links that follow an object.", ["kind"]
)
OBJECT_RESUMES = Counter(
    "socialflow_object_resumes_total",
    "Links that began to follow an object, by what served what they had missed.",
    ["kind", "source"],
)
ACTIVATIONS = Counter(
    "socialflow_activations_total", "Hosted objects loaded from storage.", ["kind"]
)
FEEDS_RANKED = Counter(
    "socialflow_feeds_ranked_total",
    "Pages of feeds by what became of their order: ranked, or left as it was, and why.",
    ["outcome"],
)
LINK_FRAMES = Counter("socialflow_link_frames_total", "Frames between hosts and edges.", ["type"])
LINKS_ENDED = Counter(
    "socialflow_links_ended_total",
    "Links that ended, by the peer's role and why; overflow: it did not read fast enough.",
    ["role", "reason"],
)
OBJECTS_SWEPT = Counter(
    "socialflow_objects_swept_total", "What dead writers left, and was removed."
)
UPLOAD_BYTES = Counter("socialflow_upload_bytes_total", "Acknowledged upload bytes.")
HEAD_START_PARTS = Counter(
    "socialflow_head_start_parts_total", "Parts of chunks encoded while their file arrived."
)
MEDIA_SESSIONS = Gauge("socialflow_media_sessions", "WebRTC sessions on this edge.", ["role"])
MEDIA_REFUSED = Counter(
    "socialflow_media_sessions_refused_total", "WebRTC sessions answered 503.", ["reason"]
)
RELAYS = Gauge("socialflow_relays", "Lives relayed to other edges and from them.", ["direction"])
RELAY_PACKETS = Counter(
    "socialflow_relay_packets_total", "Packets of lives between edges.", ["direction"]
)
RELAY_BYTES = Counter("socialflow_relay_bytes_total", "Their bytes.", ["direction"])
RELAY_PACKETS_DROPPED = Counter(
    "socialflow_relay_packets_dropped_total", "Packets that a link between edges was too slow for."
)
RELAYS_LOST = Counter(
    "socialflow_relays_lost_total", "Relays that ended while watched, by why.", ["reason"]
)
HLS_RELAY_ANSWERS = Counter(
    "socialflow_hls_relay_answers_total",
    "HLS of lives that come in at other edges, by where the answer came from.",
    ["source"],
)
HLS_RELAY_BYTES = Counter("socialflow_hls_relay_bytes_total", "What was fetched for it.")
LIVE_PACKETS_LOST = Counter(
    "socialflow_live_packets_lost_total", "Packets that never came to what HLS is made of."
)
LIVE_SEGMENTS = Counter(
    "socialflow_live_segments_total", "Segments of lives by what became of them.", ["outcome"]
)
LIVE_SLATES = Gauge("socialflow_live_slates", "Lives that show a slate by HLS at present.")
LIVE_SLATES_SHOWN = Counter(
    "socialflow_live_slates_shown_total", "Times that a slate took the place of a publisher."
)
LIVE_SLATES_ENCODED = Counter(
    "socialflow_live_slates_encoded_total", "Slates of another shape by outcome.", ["outcome"]
)
LIVE_AAC = Gauge("socialflow_live_aac", "Lives whose sound is made as AAC, too, at present.")
LIVE_AAC_REFUSED = Counter(
    "socialflow_live_aac_refused_total", "Requests for AAC beyond what one edge makes."
)
LIVE_AAC_DROPPED = Counter(
    "socialflow_live_aac_frames_dropped_total", "Sound that the making of AAC was too slow for."
)
LIVE_LADDERS = Gauge("socialflow_live_ladders", "Lives with smaller pictures at present.")
LIVE_LADDERS_REFUSED = Counter(
    "socialflow_live_ladders_refused_total",
    "Times that a watched live got no smaller pictures: its node makes as many as it may.",
)
LIVE_RUNGS = Gauge("socialflow_live_rungs", "Smaller pictures that are made at present.")
LIVE_RUNGS_SHED = Counter(
    "socialflow_live_rungs_shed_total", "Smaller pictures that were given up, by why.", ["reason"]
)
LIVE_RUNGS_RESUMED = Counter(
    "socialflow_live_rungs_resumed_total", "Smaller pictures that were tried again."
)
LIVE_LADDER_RESTARTS = Counter(
    "socialflow_live_ladder_restarts_total", "Processes of smaller pictures started anew."
)
LIVE_LADDER_STILLS = Counter(
    "socialflow_live_ladder_stills_total",
    "Parts in whose place the last picture stands: their process was too late for them.",
)
LIVE_LADDER_LATENESS = Histogram(
    "socialflow_live_ladder_lateness_seconds",
    "From a part of a live until its smaller pictures are there.",
    buckets=SECONDS,
)
LIVE_STORE_DURATION = Histogram(
    "socialflow_live_store_duration_seconds",
    "From a live segment's end until it is stored and listed.",
    buckets=SECONDS,
)
EDGE_WORK_FAILED = Counter(
    "socialflow_edge_work_failed_total", "Standing work that failed and began anew.", ["work"]
)
LOOP_LAG = Histogram("socialflow_loop_lag_seconds", "Event loop lag.", buckets=SECONDS)


JOINED = ("socialflow_", "process_")
"""What is told of other processes."""


class _Joined:
    """This process's metrics, and the samples of others under a label that names them."""

    def __init__(self, label: str, others: Mapping[str, bytes]) -> None:
        self._label = label
        self._others = others

    def collect(self) -> Iterable[Metric]:
        """Yield each family once, whoever counted it."""
        families = {family.name: family for family in REGISTRY.collect()}
        for name, text in self._others.items():
            for family in text_string_to_metric_families(text.decode()):
                if not family.name.startswith(JOINED) or family.name.endswith("_created"):
                    continue
                mine = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    mine.add_sample(sample.name, {**sample.labels, self._label: name}, sample.value)
        return families.values()


@functools.cache
def label(metric: Labelled, *values: str) -> Labelled:
    """Return `metric.labels(...)`, remembered: what counts every tick need not look it up."""
    return metric.labels(*values)


def write_metrics() -> bytes:
    """Write what this process counted."""
    return generate_latest()


def join_metrics(label: str, others: Mapping[str, bytes]) -> bytes:
    """Write what this process counted, and what others wrote, by their names in `label`."""
    return generate_latest(_Joined(label, others))
