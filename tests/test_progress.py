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


def test_an_unknown_total_and_no_work(clock):
    bar = Progress(None, "rows", "text", stream=io.StringIO())
    bar.update(0)
    assert bar.line() == "text  0 rows  0 rows/s"
    empty = Progress(0, "rows", "text", stream=io.StringIO())
    empty.close()
    empty.close()
    assert "0/0 rows" in empty.line()
