"""Setup compiles what processes load, so that no process has to."""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from cluster.bootstrap import PACKAGES, ROOT, compile_packages

pytestmark = pytest.mark.unit


def test_modules_are_compiled_also_where_python_may_not_do_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sources = [tmp_path / package / "inner" / "rules.py" for package in PACKAGES]
    for source in sources:
        source.parent.mkdir(parents=True)
        source.write_text("LIMIT = 1\n")
    compile_packages(tmp_path)
    assert [source for source in sources if not Path(cache_from_source(str(source))).exists()] == []


def test_every_package_of_the_product_is_compiled():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == {*PACKAGES, "benchmarks", "tests"}
