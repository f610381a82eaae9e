"""docs/openapi.json and docs/settings.md are what the code says today."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.manual import render_manual

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_openapi_is_the_served_one():
    command = [sys.executable, "-m", "cluster.openapi"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert json.loads(made.stdout) == committed, "run: make openapi"


def test_the_committed_settings_page_is_todays():
    assert (ROOT / "docs" / "settings.md").read_text() == render_manual(), "run: make openapi"
