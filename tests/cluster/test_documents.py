"""docs/openapi.json, docs/settings.md and the page's message types are what the code says today."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.manual import render_manual
from cluster.page_messages import render_messages

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_openapi_is_the_served_one():
    command = [sys.executable, "-m", "cluster.openapi"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert json.loads(made.stdout) == committed, "run: make openapi"


def test_the_committed_settings_page_is_todays():
    assert (ROOT / "docs" / "settings.md").read_text() == render_manual(), "run: make openapi"


def test_the_pages_types_are_those_of_the_messages():
    written = (ROOT / "web" / "src" / "kit" / "messages.ts").read_text()
    assert written == render_messages(), "run: make openapi"
