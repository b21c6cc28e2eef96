"""The one thread that runs the engine; everything else asks it and is told."""

import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from flan_jax.decoding.engine import Answer, Ask, Engine
from flan_jax.decoding.prompt_scores import PromptScores, score_prompt

Job = Callable[[], object]


class Progress(NamedTuple):
    """How far an answer has come.  `text` will not be taken back; of the answer's tokens the first `count` count.

    `prompt` are the prompt's scores, where they were asked for.  `error` ends everything.
    """

    answer: Answer | None
    text: str
    count: int
    finish: str | None
    prompt: PromptScores | None = None
    error: Exception | None = None


@dataclasses.dataclass(eq=False)
class Ticket:
    """One question to the worker, to cancel it by.  max_new_tokens 0 of `ask` only scores the prompt, if `scored`."""

    ask: Ask
    scored: bool
    tell: Callable[[Progress], None]
    answer: Answer | None = None
    prompt: PromptScores | None = None
    cancelled: bool = False


class Worker:
    """Answers questions from any thread, together.  Listeners are called in the worker's thread and must not wait."""

    def __init__(self, engine: Engine, most_waiting: int = 1024):
        self.engine, self.most_waiting = engine, most_waiting
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._tickets: dict[Answer, Ticket] = {}
        self._pending = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="flan-jax engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the step in progress; what is unanswered stays so."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()

    @property
    def pending(self) -> int:
        """Questions that are not done with."""
        return self._pending

    def submit(self, tickets: Sequence[Ticket]) -> bool:
        """Ask them all, or none where too many wait already."""
        with self._lock:
            if self._pending + len(tickets) > self.most_waiting:
                return False
            self._pending += len(tickets)
        for ticket in tickets:
            self._jobs.put(lambda ticket=ticket: self._begin(ticket))
        return True

    def cancel(self, ticket: Ticket) -> None:
        ticket.cancelled = True
        self._jobs.put(lambda: self._cancel(ticket))

    def _run(self) -> None:
        while True:
            while not self.engine.busy or not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    return
                job()
            try:
                grown = self.engine.step()
            except Exception as error:  # whatever went wrong is told to those who wait; the next may fare better
                for ticket in list(self._tickets.values()):
                    self._end(ticket, Progress(None, "", 0, None, error=error))
                self.engine.reset()
                continue
            for answer in grown:
                ticket = self._tickets[answer]
                text = answer.text.whole if answer.finish else answer.text.sure
                progress = Progress(answer, text, len(answer.tokens), answer.finish, ticket.prompt)
                if answer.finish:
                    self._end(ticket, progress)
                else:
                    ticket.tell(progress)

    def _begin(self, ticket: Ticket) -> None:
        try:
            if ticket.cancelled:
                self._end(ticket, None)
                return
            if ticket.scored and len(ticket.ask.prompt) > 1:
                prompt = np.asarray(ticket.ask.prompt, np.int32)
                ticket.prompt = score_prompt(self.engine.config, self.engine.params, prompt)
            if not ticket.ask.max_new_tokens:
                self._end(ticket, Progress(None, "", 0, "length", ticket.prompt))
                return
            ticket.answer = self.engine.submit(ticket.ask)
            self._tickets[ticket.answer] = ticket
        except Exception as error:
            self._end(ticket, Progress(None, "", 0, None, error=error))

    def _cancel(self, ticket: Ticket) -> None:
        if ticket.answer is not None and ticket.answer in self._tickets:
            self._end(ticket, None)

    def _end(self, ticket: Ticket, progress: Progress | None) -> None:
        if ticket.answer is not None:
            self.engine.cancel(ticket.answer)
            self._tickets.pop(ticket.answer, None)
        with self._lock:
            self._pending -= 1
        if progress is not None:
            ticket.tell(progress)
