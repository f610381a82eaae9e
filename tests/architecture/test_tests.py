"""The tests obey their own rules: one category per file, no socket in a unit test, and more."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tests").rglob("test_*.py"))
CATEGORY = re.compile(
    r"^pytestmark = (?:\[)?pytest\.mark\.(unit|long|db|ray|media|browser|gpu)\b", re.MULTILINE
)
UNIT_BANNED = {"socket", "aiohttp", "asyncpg", "redis", "ray", "playwright"}


def faults(source: str) -> list[str]:
    found = CATEGORY.findall(source)
    if len(found) != 1:
        return ["does not declare one category as its pytestmark"]
    wrong: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if found == ["unit"] and isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
            )
            wrong += [
                f"unit test imports {name}"
                for name in names
                if name.partition(".")[0] in UNIT_BANNED
            ]
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.xfail":
            wrong.append("xfail accepts two outcomes")
        if isinstance(node, ast.Call) and patches_by_name(node):
            wrong.append("patches by a dotted name: take it as an argument")
    return wrong


def patches_by_name(call: ast.Call) -> bool:
    is_patch = ast.unparse(call.func).endswith("monkeypatch.setattr")
    return is_patch and isinstance(call.args[0], ast.Constant | ast.JoinedStr)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_obeys(path: Path):
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import pytest\n", "one category"),
        ("pytestmark = pytest.mark.unit\nimport socket\n", "imports socket"),
        ("pytestmark = pytest.mark.db\n@pytest.mark.xfail\ndef test_a(): ...\n", "two outcomes"),
        (
            "pytestmark = pytest.mark.db\nmonkeypatch.setattr('actors.hosting.host.X', 1)\n",
            "by a dotted name",
        ),
    ],
)
def test_rules_see(source: str, words: str):
    assert any(words in fault for fault in faults(source))
