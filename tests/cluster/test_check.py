"""`make check` runs every unit test once."""

import pytest

from cluster.check import UNIT, split_files

pytestmark = pytest.mark.unit


def test_every_file_of_unit_tests_is_in_one_of_the_two_halves():
    one, other = split_files()
    assert one
    assert other
    assert sorted([*one, *other]) == UNIT.list_files()
