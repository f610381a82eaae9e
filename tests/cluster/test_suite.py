"""The shares of the suite hold every test once, and are one verdict that names what failed."""

from collections import Counter

import pytest

from cluster.suite import ROOT, SHARES, is_test, judge, list_failures, read_marks

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([0, 0, 0], 0),
        ([0, 5, 5], 0),
        ([5, 0, 0], 0),
        ([5, 5, 5], 5),
        ([1, 0, 0], 1),
        ([0, 0, 1], 1),
        ([5, 2, 0], 2),
    ],
)
def test_a_failure_counts_and_a_share_without_tests_does_not(statuses: list[int], verdict: int):
    assert judge(statuses) == verdict


def test_every_test_file_is_in_one_share():
    counted = Counter(file for share in SHARES for file in share.list_files())
    wanted = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    assert counted == Counter(wanted)


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("pytestmark = pytest.mark.unit\n", {"unit"}),
        ("pytestmark = [pytest.mark.ray, pytest.mark.beside]\n", {"ray", "beside"}),
        (
            "pytestmark = [\n    pytest.mark.db,\n    pytest.mark.timeout(9),\n]\n\n\n"
            "@pytest.mark.other\ndef test_it(): ...\n",
            {"db", "timeout"},
        ),
        ("def test_it(): ...\n", set()),
    ],
)
def test_the_marks_of_a_file_are_read_from_its_text(source: str, marks: set[str]):
    assert read_marks(source) == marks


@pytest.mark.parametrize(
    ("word", "is_one"),
    [
        ("tests/cluster/test_suite.py", True),
        ("tests/cluster/test_suite.py::test_it", True),
        ("tests/nowhere.py", False),
        ("--deselect=tests/cluster/test_suite.py", False),
        ("-q", False),
    ],
)
def test_an_argument_that_names_tests_is_known(word: str, is_one: bool):
    assert is_test(word) is is_one


def test_what_failed_is_named_with_its_reason():
    report = (
        '<testsuites><testsuite><testcase classname="tests.a" name="test_fine"/>'
        '<testcase classname="tests.a" name="test_sum"><failure message="assert 1 == 2&#10; more">'
        "def test_sum():\n>   assert 1 == 2\n\ntests/a.py:7: AssertionError</failure></testcase>"
        '<testcase classname="tests.b" name="test_wait"><failure message="TimeoutError">'
        "    await it()\n\ntests/b.py:9: \n_ _ _\n>   raise\n\ntests/waits.py:3: \n_ _ _\n"
        "/python/timeouts.py:98: TimeoutError</failure></testcase>"
        '<testcase classname="tests.b" name="test_row"><error message="on setup">gone</error>'
        "</testcase></testsuite></testsuites>"
    )
    assert list_failures(report) == [
        "tests.a::test_sum\ntests/a.py:7: AssertionError\nassert 1 == 2\n more",
        "tests.b::test_wait\ntests/b.py:9: \ntests/waits.py:3: \n"
        "/python/timeouts.py:98: TimeoutError\nTimeoutError",
        "tests.b::test_row\ngone\non setup",
    ]
