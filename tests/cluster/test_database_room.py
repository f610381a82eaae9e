"""Whether PostgreSQL has room for what a machine brings along."""

import os

import pytest

from cluster.boot import StartFailed, ask_database

pytestmark = pytest.mark.db


def test_a_machine_is_refused_when_all_together_may_open_too_many_connections(database_dsn: str):
    environment = dict(os.environ)
    assert ask_database(environment, database_dsn, connections=20, target="") == ""
    with pytest.raises(StartFailed, match="the pools may open 5000"):
        ask_database(environment, database_dsn, connections=5000, target="")
