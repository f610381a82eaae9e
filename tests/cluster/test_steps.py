"""What a person reads while the product starts: numbered lines, times, faults, refusals."""

import io
import re

import pytest
from rich.console import Console

from cluster.steps import PatientConsole, Screen

pytestmark = pytest.mark.unit


def make_screen(*, terminal: bool = False) -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, color_system=None)
    return Screen(console), output


def test_steps_are_numbered_in_the_order_they_end_with_times_and_notes():
    screen, output = make_screen()
    screen.plan(2)
    with screen.step("PostgreSQL") as outer, screen.step("Valkey") as inner:
        outer.note, inner.note = "port 1", "[port] 2"
    lines = output.getvalue().splitlines()
    assert re.fullmatch(r"\s*1/2 ✓ Valkey\s+\d+\.\d s  \[port\] 2", lines[0])
    assert re.fullmatch(r"\s*2/2 ✓ PostgreSQL\s+\d+\.\d s  port 1", lines[1])


def test_a_step_that_raises_is_marked_and_raises_on():
    screen, output = make_screen()
    screen.plan(1)
    with pytest.raises(RuntimeError), screen.step("Ray"):
        raise RuntimeError
    assert "1/1 ✗ Ray" in output.getvalue()


def test_steps_after_the_start_are_silent():
    screen, output = make_screen()
    screen.plan(0)
    with screen.step("Ray"):
        pass
    assert output.getvalue() == ""


def test_faults_carry_the_time_and_refusals_their_cure():
    screen, output = make_screen()
    screen.fault("host-0 is [restarting]")
    screen.refuse("Port 1 is taken.", "Stop it.")
    text = output.getvalue()
    assert re.search(r"\d\d:\d\d:\d\d host-0 is \[restarting\]", text)
    assert "✗ Port 1 is taken.\n    Stop it." in text


def test_only_a_terminal_shows_what_is_under_way():
    screen, output = make_screen()
    screen.count_down("API … 8 s")
    assert output.getvalue() == ""
    screen, output = make_screen(terminal=True)
    screen.count_down("API … 8 s")
    screen.close()
    assert "API … 8 s" in output.getvalue()


def test_a_terminal_that_went_away_is_no_reason_to_end():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    screen = Screen(PatientConsole(file=Gone()))
    screen.say("hello")
    screen.plan(1)
    with screen.step("Ray"):
        pass
