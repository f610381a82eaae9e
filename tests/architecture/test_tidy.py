"""Limits on the code itself: size, hidden imports, banned names. Exceptions may only shrink."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "root_packages"
]
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5
LONGER: dict[str, int] = {}  # "storage/posts.py" or "storage/posts.py::list_feed" -> lines today
BANNED_WORDS = {
    *("utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"),
    *("new", "old", "v2", "enhanced"),
}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
ENVIRONMENT_DOOR = "kit/settings.py"


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def module_faults(where: str, tree: ast.Module, lines: int) -> Iterator[str]:
    if lines > LONGER.get(where, MODULE_LINES_MAX):
        yield f"{where}: {lines} lines"
    if tree.body and not ast.get_docstring(tree):
        yield f"{where}: no module docstring"
    if BANNED_WORDS & set(Path(where).stem.split("_")):
        yield f"{where}: name says nothing"
    for node in ast.walk(tree):
        if (
            where != ENVIRONMENT_DOOR
            and isinstance(node, ast.Attribute)
            and node.attr in {"environ", "getenv"}
        ):
            yield f"{where}:{node.lineno}: reads the environment"


def function_faults(where: str, tree: ast.Module) -> Iterator[str]:
    for function in (node for node in ast.walk(tree) if isinstance(node, FUNCTION)):
        length = function.end_lineno - function.lineno + 1
        if length > LONGER.get(f"{where}::{function.name}", FUNCTION_LINES_MAX):
            yield f"{where}:{function.lineno}: {function.name} has {length} lines"
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        counted = [argument for argument in arguments if argument.arg not in {"self", "cls"}]
        if len(counted) > PARAMETERS_MAX and not function.decorator_list:
            yield f"{where}:{function.lineno}: {function.name} has {len(counted)} parameters"
        for node in ast.walk(function):
            if any(name.partition(".")[0] in PACKAGES for name in imported_names(node)):
                yield f"{where}:{node.lineno}: project import inside {function.name} hides a circle"


def faults(where: str, source: str) -> list[str]:
    tree = ast.parse(source)
    return [*module_faults(where, tree, source.count("\n")), *function_faults(where, tree)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tidy(path: Path):
    assert faults(path.relative_to(ROOT).as_posix(), path.read_text()) == []


def test_exceptions_are_still_needed():
    for where, lines in LONGER.items():
        file, _, name = where.partition("::")
        source = (ROOT / file).read_text()
        if not name:
            assert source.count("\n") == lines, f"{where}: lower the exception"
        else:
            found = [
                n for n in ast.walk(ast.parse(source)) if isinstance(n, FUNCTION) and n.name == name
            ]
            assert max(n.end_lineno - n.lineno + 1 for n in found) == lines, (
                f"{where}: lower the exception"
            )


@pytest.mark.parametrize(
    ("where", "source", "words"),
    [
        ("storage/utils.py", '"""x"""\n', "says nothing"),
        ("storage/posts.py", "x = 1\n", "no module docstring"),
        ("storage/posts.py", '"""x"""\n' + "x = 1\n" * 400, "401 lines"),
        ("storage/posts.py", '"""x"""\ndef f():\n' + "    x = 1\n" * 60, "f has 61 lines"),
        ("storage/posts.py", '"""x"""\ndef f(a, b, c, *, d, e, g): ...\n', "f has 6 parameters"),
        ("storage/posts.py", '"""x"""\ndef f():\n    from storage import db\n', "hides a circle"),
        ("storage/posts.py", '"""x"""\nimport os\nx = os.environ["A"]\n', "reads the environment"),
    ],
)
def test_tidy_sees(where: str, source: str, words: str):
    assert any(words in fault for fault in faults(where, source))
