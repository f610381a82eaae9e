"""Migrations stand in one line: two that were written at the same time must be put in order."""

from __future__ import annotations

import re

import pytest

from storage.migrations.plain_sql import VERSIONS

pytestmark = pytest.mark.unit


def test_every_migration_follows_the_one_before_it() -> None:
    found = {}
    for file in sorted(VERSIONS.glob("[0-9]*.py")):
        revision, before = re.findall(r'^(?:down_)?revision = "?(\w+)"?$', file.read_text(), re.M)
        assert revision == file.stem
        found[revision] = before
    names = sorted(found)
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    assert [found[name] for name in names] == ["None", *names[:-1]]
