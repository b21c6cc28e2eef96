"""Being told to stop: SIGTERM sets a flag, and the training loop ends after the step it is in."""

import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

EXIT_STATUS = 128 + signal.SIGTERM  # 143, what a shell reports of a process that SIGTERM ended


class Termination:
    """A context in which SIGTERM no longer ends the process.

    With several processes, JAX's preemption service relays the signal, so that all stop at the same step though one got
    it.
    """

    def __init__(self) -> None:
        self._requested = False
        self._previous: Any = None

    def __enter__(self) -> "Termination":
        # Python delivers signals to the main thread only; a trainer run elsewhere leaves them to its host program.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self._requested = True

    def requested(self, step: int) -> bool:
        """Whether to stop now; every process asks at every step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._requested
