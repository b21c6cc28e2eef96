"""Progress says how much, how fast and how long still; a log is not flooded."""

import io

import pytest

from flan_jax import progress
from flan_jax.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_rate_time_left_and_facts(clock):
    bar = Progress(1000, "steps", "train", stream=io.StringIO())
    clock[0] += 10
    bar.update(20, loss=2.3456)
    assert bar.line() == "train  20/1,000 steps  2%  2 steps/s  0:08:10 left  loss 2.346"


def test_a_resumed_run_has_the_rate_of_what_it_did_itself(clock):
    bar = Progress(1000, "steps", "train", start=500, stream=io.StringIO())
    clock[0] += 10
    bar.update(100)
    assert "600/1,000 steps  60%  10 steps/s  0:00:40 left" in bar.line()


def test_what_was_slow_at_first_does_not_count_towards_the_time_left(clock):
    bar = Progress(101, "steps", "train", stream=io.StringIO())
    clock[0] += 300
    bar.update(1)
    bar.measure_from_here()
    clock[0] += 5
    bar.update(50)
    assert "51/101 steps  50%  10 steps/s  0:00:05 left" in bar.line()
    bar.close()
    assert "10 steps/s  0:05:05 taken" in bar.line()


def test_a_log_gets_a_line_now_and_then(clock):
    log = io.StringIO()
    with Progress(100, "rows", "text", stream=log) as bar:
        for _ in range(100):
            clock[0] += 0.7
            bar.update(1)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3 and lines[-1].startswith("text  100/100 rows  100%") and lines[-1].endswith("0:01:10 taken")


def test_a_terminal_keeps_to_one_line(clock):
    screen = Terminal()
    with Progress(10, "rows", "text", stream=screen) as bar:
        for _ in range(10):
            clock[0] += 1
            bar.update(1)
        bar.write("something happened")
    assert screen.getvalue().count("\n") == 2 and screen.getvalue().count("\r") > 10


@pytest.mark.parametrize("columns", ["80", "30"])
def test_a_line_is_cut_to_the_terminal_and_leaves_nothing_behind(clock, monkeypatch, columns):
    """As the terminal shows it: every carriage return begins at the left again, and the line never wraps."""
    monkeypatch.setenv("COLUMNS", columns)
    screen = Terminal()
    bar = Progress(10, "MB", "tokens", stream=screen)
    for at in ("a/train 20%, a/test 30%, b/train 20%, b/validation 10%", "b/train 90%", "-"):
        clock[0] += 1
        bar.update(1, rows="20,000", splits="3/91", at=at)
    shown = ""
    for line in screen.getvalue().split("\r"):
        assert len(line) < int(columns)
        shown = line + shown[len(line) :]
    room, line = int(columns) - 1, bar.line()
    assert shown.rstrip() == (line if len(line) <= room else line[: room - 1] + "…")


def test_time_left_does_not_climb_while_a_long_step_is_waited_for(clock):
    bar = Progress(100, "MB", "text", stream=io.StringIO())
    clock[0] += 10
    bar.update(20)
    clock[0] += 30
    bar.update(0)
    assert "2 MB/s  0:00:40 left" in bar.line()
    bar.update(30)
    assert "1.25 MB/s  0:00:40 left" in bar.line()


def test_an_unknown_total_and_no_work(clock):
    bar = Progress(None, "rows", "text", stream=io.StringIO())
    bar.update(0)
    assert bar.line() == "text  0 rows  0 rows/s"
    empty = Progress(0, "rows", "text", stream=io.StringIO())
    empty.close()
    empty.close()
    assert "0/0 rows" in empty.line()
