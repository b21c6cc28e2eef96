"""How spawned worker processes end: with their parent, or when it leaves what it had them do; never by Ctrl-C."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator


def end_with_parent() -> None:
    """From here on this process ends when its parent does: a killed parent cannot end its workers, so they watch it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes spawned in this block never see Ctrl-C, which a terminal sends to all: one that is pressed meanwhile
    reaches the parent after the block, and the parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def ended_when_left() -> Iterator[None]:
    """When an exception, Ctrl-C's too, leaves this block, workers are killed: an executor would wait for their jobs."""
    try:
        yield
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
