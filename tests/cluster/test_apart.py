"""What the command line carries, and how it has the rest done elsewhere."""

import subprocess
import sys

import pytest

from cluster.apart import ApartFailed, run_apart
from cluster.cli import SCENE_S_MAX
from media.scenes.render import LENGTH_S_MAX

pytestmark = pytest.mark.unit

OTHER = "tests.cluster.apart_process"
HEAVY = {"aiohttp", "aiortc", "alembic", "asyncpg", "av", "cv2", "fastapi", "numpy", "ray", "redis"}


def test_the_supervisor_imports_nothing_heavy():
    # `up` supervises in the process of the command line: what it imports is held for good.
    said = subprocess.run(
        [sys.executable, "-c", "import cluster.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "cluster.supervisor" in said
    assert HEAVY & set(said) == set()


def test_scenes_are_as_long_as_the_command_line_says():
    assert SCENE_S_MAX == LENGTH_S_MAX


def test_lines_come_as_they_are_told_and_the_answer_last():
    told: list[str] = []
    answer = run_apart(OTHER, {"lines": ["a", "ü"], "end": ""}, told.append)
    assert (told, answer) == (["a", "ü"], {"lines": 2})


def test_a_refusal_keeps_its_words_and_a_death_is_noticed():
    with pytest.raises(ApartFailed, match=r"^Not today\.$"):
        run_apart(OTHER, {"lines": [], "end": "refuse"})
    with pytest.raises(ApartFailed, match="status 7"):
        run_apart(OTHER, {"lines": ["a"], "end": "die"})
