"""Being told to stop: SIGTERM, or Ctrl-C, sets a flag, and the training loop ends after the step it is in."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Termination:
    """A context in which SIGTERM and a first Ctrl-C (SIGINT) no longer end the process; a second Ctrl-C does, at once.

    With several processes, JAX's preemption service relays SIGTERM, so that all stop at the same step though one got
    it; Ctrl-C is left as it is.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Termination":
        # Python delivers signals to the main thread only; a trainer run elsewhere leaves them to its host program.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGINT):
                # A job that a script put in the background ignores Ctrl-C, and goes on ignoring it.
                if signal.getsignal(one) not in (signal.SIG_IGN, None):
                    self._previous[one] = signal.signal(one, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._previous.items():
            signal.signal(one, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self._received = signum
        if signum == signal.SIGINT:
            print("\nstopping after this step; Ctrl-C again ends at once", file=sys.stderr, flush=True)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # not an exception: that would still wait to close things

    @property
    def exit_status(self) -> int:
        """What a shell reports of a process that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self._received or signal.SIGTERM)

    def requested(self, step: int) -> bool:
        """Whether to stop now; every process asks at every step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._received is not None
