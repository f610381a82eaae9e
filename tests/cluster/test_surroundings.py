"""What a machine that joins looks for before it starts anything."""

import dataclasses
import socket
from collections.abc import Iterator

import pytest

from cluster.joining import InvitationRefused, check_surroundings
from kit.setting_sections import CacheSettings, ClusterSettings, DatabaseSettings, ObjectSettings
from kit.settings import Settings

pytestmark = pytest.mark.db


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_servers_that_cannot_be_reached_are_named(listening: str):
    settings = Settings(
        database=DatabaseSettings(url=f"postgresql://u:p@{listening}/d"),
        cache=CacheSettings(url="redis://127.0.0.1:1/0"),
        objects=ObjectSettings(url="s3://bucket"),
        cluster=ClusterSettings(head=listening),
    )
    with pytest.raises(InvitationRefused, match=r"Valkey at 127\.0\.0\.1:1 "):
        check_surroundings(settings)
    check_surroundings(
        dataclasses.replace(settings, cache=CacheSettings(url=f"redis://{listening}"))
    )
