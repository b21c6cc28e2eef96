"""The work `prepare` spreads over processes: one job renders or tokenises one split of one task."""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flan_jax.data.manifest import TextManifest, TokenManifest
from flan_jax.data.store import Store
from flan_jax.data.task import load_registry
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.data.token_layer import write_tokens
from flan_jax.data.vocabulary import load_vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.progress import Progress

POLL_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class TextJob:
    """Render a split.  Names the registry's module, as what is in it does not travel between processes."""

    tasks: str
    store: str
    task: str
    split: str
    seed: int
    eval_examples: int | None

    def run(self, progress: Callable[[int], None]) -> TextManifest:
        task = load_registry(self.tasks).get_task(self.task)
        return write_text(
            Store(self.store), task, self.split, text_request(task, self.split, self.seed, self.eval_examples), progress
        )


@dataclasses.dataclass(frozen=True)
class TokenJob:
    """Tokenise a split with the vocabulary saved in a directory."""

    store: str
    vocabulary: str
    text: TextManifest

    @property
    def task(self) -> str:
        return self.text.task

    @property
    def split(self) -> str:
        return self.text.split

    def run(self, progress: Callable[[int], None]) -> TokenManifest:
        return write_tokens(Store(self.store), _vocabulary(self.vocabulary), self.text, progress)


_vocabulary = functools.lru_cache(maxsize=2)(load_vocabulary)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """`manifest` of a job that ended well, else `error`, ready to be shown."""

    job: TextJob | TokenJob
    manifest: TextManifest | TokenManifest | None
    error: str
    seconds: float


def run_jobs(jobs: Sequence[TextJob | TokenJob], processes: int, label: str) -> list[Outcome]:
    """Run all jobs, whatever becomes of some; outcomes in the order of the jobs.

    With one process, or one job, they run in this one; else in `processes` spawned ones, which end when this one does.
    """
    if not jobs:
        return []
    processes = min(processes, len(jobs))
    with Progress(len(jobs), "splits", label) as progress:
        outcomes = {}
        for outcome in _here(jobs, progress) if processes <= 1 else _spawned(jobs, processes, progress):
            outcomes[outcome.job.task, outcome.job.split] = outcome
            if outcome.error:
                progress.write(f"{outcome.job.task}/{outcome.job.split} failed: {outcome.error.splitlines()[-1]}")
        return [outcomes[job.task, job.split] for job in jobs]


def _attempt(job: TextJob | TokenJob, progress: Callable[[int], None]) -> Outcome:
    began = time.monotonic()
    manifest, error = None, ""
    try:
        manifest = job.run(progress)
    except FlanJaxError as known:
        error = str(known)
    except Exception:  # a task's own code: its traceback is what its author needs, and the other tasks go on
        error = traceback.format_exc()
    return Outcome(job, manifest, error, time.monotonic() - began)


def _here(jobs: Sequence[TextJob | TokenJob], progress: Progress) -> Iterator[Outcome]:
    rows = 0

    def count(n: int) -> None:
        nonlocal rows
        rows += n
        progress.update(0, rows=rows)

    for job in jobs:
        yield _attempt(job, count)
        progress.update(1)


_rows: Any = None  # in a worker: the shared counter of rows done


def _start_worker(rows: Any) -> None:
    global _rows
    _rows = rows
    parent = multiprocessing.parent_process()
    if parent is not None:  # a killed parent cannot end its workers, so they watch it
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _count_shared(n: int) -> None:
    with _rows.get_lock():
        _rows.value += n


def _attempt_in_worker(job: TextJob | TokenJob) -> Outcome:
    return _attempt(job, _count_shared)


def _spawned(jobs: Sequence[TextJob | TokenJob], processes: int, progress: Progress) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    rows = context.Value("q", 0)
    with concurrent.futures.ProcessPoolExecutor(processes, context, _start_worker, (rows,)) as pool:
        futures = {pool.submit(_attempt_in_worker, job): job for job in jobs}
        pending = set(futures)
        while pending:
            done, pending = concurrent.futures.wait(pending, POLL_SECONDS, concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield _outcome(future, futures[future])
            progress.update(len(done), rows=rows.value)


def _outcome(future: concurrent.futures.Future, job: TextJob | TokenJob) -> Outcome:
    try:
        return future.result()
    except concurrent.futures.process.BrokenProcessPool:
        why = "a worker process died, perhaps for lack of memory; run again with --gin.prepare.processes=1"
        return Outcome(job, None, why, 0.0)
