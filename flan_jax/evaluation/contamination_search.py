"""Searching many sources for the evaluation n-grams, in several processes that share one copy of them."""

import concurrent.futures
import multiprocessing
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.example_texts import FileSource, TaskSource
from flan_jax.evaluation.overlap import NO_PAIRS, Grams, Pairs, blocks, load_grams, merge_pairs, search
from flan_jax.progress import Progress
from flan_jax.worker_process import deaf_to_interrupts, end_with_parent, ended_when_left

MEGABYTE = 1_000_000
PAIRS_HELD = 1 << 22
POLL_SECONDS = 0.25

Source = TaskSource | FileSource


class SearchFailed(FlanJaxError, RuntimeError):
    """A process that searched died."""


class Found(NamedTuple):
    """What one source holds: which n-grams in which texts, and how many texts and words were searched."""

    pairs: Pairs
    texts: int
    words: int


def search_source(grams: Grams, source: Source, most: int, advance: Callable[[int], None] = lambda size: None) -> Found:
    """Search one source.  Of each n-gram at most `most` texts are kept; `advance` is told of the bytes done."""
    parts, held, texts, words = [NO_PAIRS], 0, 0, 0
    for some, size in source.texts(int(grams.lengths[0]), int(grams.lengths[-1])):
        for block in blocks(some):
            pairs, count = search(grams, block)
            parts.append(pairs)
            held, texts, words = held + len(pairs.gram), texts + len(block), words + count
        if held > PAIRS_HELD:
            parts = [merge_pairs(parts, most)]
            held = 0
        advance(size)
    return Found(merge_pairs(parts, most), texts, words)


def search_sources(sources: Sequence[Source], grams: Grams, most: int, processes: int | None = None) -> list[Found]:
    """Search all, in the order of the sources.  processes: how many at once; None: one for each core.

    Raises SearchFailed, TextFileError and what reading the store raises.
    """
    processes = min(processes or len(os.sched_getaffinity(0)), len(sources))
    total = sum(source.size for source in sources) // MEGABYTE
    with Progress(total, "MB", "contamination") as progress:
        if processes > 1:
            return _spawned(sources, grams, most, processes, progress)
        done = _Megabytes(progress)
        return [search_source(grams, source, most, done.add) for source in sources]


class _Megabytes:
    """Whole megabytes to a progress line, from bytes."""

    def __init__(self, progress: Progress):
        self._progress, self._bytes = progress, 0

    def add(self, size: int) -> None:
        self.reach(self._bytes + size)

    def reach(self, size: int) -> None:
        self._progress.update(size // MEGABYTE - self._bytes // MEGABYTE)
        self._bytes = size


_shared: tuple[Grams, Any] | None = None  # in a worker: the n-grams, and the counter of bytes done


def _start_worker(folder: str, counter: Any) -> None:
    global _shared
    _shared = load_grams(pathlib.Path(folder)), counter
    end_with_parent()


def _search_in_worker(source: Source, most: int) -> Found:
    assert _shared is not None
    grams, counter = _shared

    def advance(size: int) -> None:
        with counter.get_lock():
            counter.value += size

    return search_source(grams, source, most, advance)


def _spawned(sources: Sequence[Source], grams: Grams, most: int, processes: int, progress: Progress) -> list[Found]:
    """The largest sources go first, so that none is left to run alone at the end."""
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    done = _Megabytes(progress)
    with tempfile.TemporaryDirectory(prefix="flan_jax_ngrams_") as folder:
        grams.save(pathlib.Path(folder))
        start = (folder, counter)
        with (
            concurrent.futures.ProcessPoolExecutor(processes, context, _start_worker, start) as pool,
            ended_when_left(),
        ):
            order = sorted(range(len(sources)), key=lambda i: -sources[i].size)
            with deaf_to_interrupts():
                futures = {i: pool.submit(_search_in_worker, sources[i], most) for i in order}
            try:
                pending = set(futures.values())
                while pending:
                    ended, pending = concurrent.futures.wait(pending, POLL_SECONDS)
                    for future in ended:
                        future.result()  # raises what went wrong, before the others are waited for
                    done.reach(counter.value)
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, concurrent.futures.process.BrokenProcessPool):
                    raise SearchFailed(
                        "a process that searched died, perhaps for lack of memory; run again with --gin.PROCESSES=1"
                    ) from error
                raise
        return [futures[i].result() for i in range(len(sources))]
