"""How a live goes and went, from what edges report to what its owner reads."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from actors.hosting.messages import API
from actors.live_room.health import IngestReport
from actors.live_room.messages import PublisherUp, ViewersReport, Way
from actors.live_room.quality import QualityReport, count_delays
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.database import Database
from storage.live_samples import LiveSample, Visitors, write_samples
from tests.actors.hosting.stage import Heard, run_client, run_host
from tests.serve_apps.api_client import Person, make_client

pytestmark = pytest.mark.db

QUALITY = QualityReport(
    players={Way.WEBRTC: 3, Way.HLS: 1},
    suffering=1,
    played_ms=40_000,
    stalled_ms=400,
    freezes=2,
    joins=count_delays([90, 180, 410, 1900]),
    latencies=count_delays([140, 180, 290, 1900]),
)


async def test_the_owner_sees_how_a_live_goes_and_afterwards_how_it_went(
    ada: Person, bob: Person, ports: ApiPorts, settings: Settings
) -> None:
    live_id = uuid.UUID((await ada.post("/v1/live", {"title": "Night drive"}, status=201))["id"])
    path = f"/v1/live/{live_id}"
    async with (
        run_host(settings),
        run_client(settings, Heard()) as edge,
        run_client(settings, name="api", role=API) as rooms,
        make_client(build_app(dataclasses.replace(ports, rooms=rooms))) as client,
    ):
        owner = dataclasses.replace(ada, client=client)
        edge.open_room(live_id)
        edge.report_publisher(live_id, PublisherUp("s1", {"edge": "http://e"}))
        edge.report_viewers(
            live_id, ViewersReport({Way.WEBRTC: 3, Way.HLS: 1}, visitors=b"8 bytes!")
        )
        edge.report_quality(live_id, QUALITY)
        edge.report_ingest(live_id, IngestReport("s1", 2_500_000, 30.0, 2000, 1, 999))
        async with asyncio.timeout(60):
            while (health := await owner.get(f"{path}/health"))["status"] != "live":
                await asyncio.sleep(0.05)
        assert health["ways"] == {"webrtc": 3, "hls": 1, "chat": 0}
        assert health["ingest"]["packet_loss"] == 0.001
        assert (health["ingest"]["hls_off"], health["ingest"]["has_b_frames"]) == (None, False)
        edge.report_ingest(
            live_id,
            IngestReport("s1", 2_500_000, 30.0, 2000, 1, 999, False, "VP8", has_b_frames=True),
        )
        async with asyncio.timeout(60):
            while (ingest := (await owner.get(f"{path}/health"))["ingest"])["hls_off"] is None:
                await asyncio.sleep(0.05)
        assert (ingest["hls_off"], ingest["has_b_frames"]) == ({"codec": "VP8"}, True)
        assert (health["quality"]["suffering"], health["quality"]["stalled"]) == (0.25, 0.01)
        assert (health["quality"]["latency_ms"], health["visitors"]) == (200, 1)
        quality = health["quality"]
        assert (quality["freezes"], quality["join_ms"], quality["join_p95_ms"]) == (2, 200, 2000)
        assert (await bob.call("GET", f"{path}/health")).status_code == 403
        await owner.post(f"{path}/end")
        async with asyncio.timeout(60):
            while not (went := await owner.get(f"{path}/analytics"))["points"]:
                await asyncio.sleep(0.1)
        assert (await owner.call("GET", f"{path}/health")).status_code == 409
    assert (went["viewers_peak"], went["visitors"], went["points"][0]["hls"]) == (4, 1, 1)
    assert went["watched_s"]["webrtc"] == pytest.approx(3 * went["watched_s"]["hls"], abs=0.01)
    assert went["points"][0]["bitrate_bps"] == 2_500_000
    assert (await bob.call("GET", f"{path}/analytics")).status_code == 403
    table = await ada.call("GET", f"{path}/analytics.csv")
    assert table.headers["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["viewers"], row["latency_p95_ms"], row["join_p95_ms"]) == ("4", "2000", "2000")


async def test_a_long_live_is_a_curve_and_only_the_rooms_owner_writes_it(
    ada: Person, database: Database
) -> None:
    live_id = uuid.UUID((await ada.post("/v1/live", {"title": "T"}, status=201))["id"])
    first = datetime(2026, 1, 1, tzinfo=UTC)
    samples = [
        LiveSample(live_id, first + timedelta(seconds=10 * n), 10_000, n, n, 0, 0, 10, 0, 1)
        for n in range(1000)
    ]
    host = ("host-x", 1)
    async with database.connection() as connection:
        await write_samples(connection, host, samples, [Visitors(live_id, live_id, b"12345678")])
        assert await connection.fetchval("SELECT count(*) FROM live_samples") == 0
        await connection.execute(
            "INSERT INTO hosts (id, incarnation, node, address, state, expires_at) "
            "VALUES ($1, $2, 'n', 'a', 'live', clock_timestamp() + interval '1 minute')",
            *host,
        )
        await connection.execute(
            "INSERT INTO placements (kind, object_id, host_id, incarnation) "
            "VALUES ('room', $1, $2, $3)",
            live_id,
            *host,
        )
        for _ in range(2):  # written again, nothing doubles
            await write_samples(
                connection, host, samples, [Visitors(live_id, live_id, b"12345678")]
            )
    went = await ada.get(f"/v1/live/{live_id}/analytics")
    assert len(went["points"]) == 200
    assert (went["points"][0]["span_s"], went["points"][0]["viewers"]) == (50.0, 4)
    assert (went["lines"], went["watched_s"]["webrtc"], went["visitors"]) == (1000, 10.0, 1)
    assert went["viewers_peak"] == 999
