"""The page's own checks: its types, and its unit tests under Node.js."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.bootstrap import find_node

pytestmark = [pytest.mark.browser, pytest.mark.beside, pytest.mark.timeout(300)]

WEB = Path(__file__).resolve().parents[2] / "web"


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_page_passes_its_own(script: str):
    folders = find_node(Path(sys.prefix))
    assert folders is not None, "run the tests by `make test`"
    assert (WEB / "node_modules").is_dir(), "run the tests by `make test`"
    result = subprocess.run(
        ["npm", "run", "--silent", script],
        cwd=WEB,
        env={**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]]), "CI": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
