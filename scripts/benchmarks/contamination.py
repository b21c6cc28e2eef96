"""Rows a second of `flan-jax contamination`, its memory, and what that makes of FLAN's 1.86 million training examples.

    python scripts/benchmarks/contamination.py [--tasks 8] [--rows 10000] [--evaluated 500] [--processes 2]

Every task's text layer holds random words (some frequent, most rare) in texts with lengths like FLAN's
(synthetic_store.py, three words for four tokens): a field of the inputs and one of the answer.  A tenth of every task's
test examples is also in its train split.  The search is that of the command, from the store to the verdicts; FLAN has
62 tasks of 30,000 rows, and with 500 of each evaluated 31,000 examples.
"""

import argparse
import pathlib
import resource
import tempfile
import time
from collections.abc import Iterator

import numpy as np
from measured import print_setting
from synthetic_store import flan_like_lengths

from flan_jax.data.store import Store
from flan_jax.data.task import Rendered, Task, TemplateInfo
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.evaluation.contamination_search import search_sources
from flan_jax.evaluation.contamination_verdict import Verdict
from flan_jax.evaluation.example_texts import TaskSource, read_evaluation_texts
from flan_jax.evaluation.overlap import collect_grams

FLAN_ROWS = 62 * 30_000
WORDS = 60_000


def random_task(name: str, lengths: tuple[np.ndarray, np.ndarray], evaluated: int, seed: int) -> Task:
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    vocabulary = np.array(["".join(rng.choice(letters, size)) for size in rng.integers(1, 10, WORDS)], object)

    def text(words: int) -> str:
        return " ".join(vocabulary[(WORDS ** rng.random(words)).astype(np.int64) - 1]) + "."

    fields = [
        {"text": text(max(inputs * 3 // 4, 1)), "answer": text(max(targets * 3 // 4, 1))}
        for inputs, targets in zip(*(column.tolist() for column in lengths), strict=True)
    ]
    leaked = evaluated // 10
    splits = {"train": fields[evaluated - leaked :], "test": fields[:evaluated]}

    def render(split: str, templates: str | tuple[int, ...], seed: int) -> Iterator[Rendered]:
        for number, own in enumerate(splits[split]):
            answer = " " + own["answer"]
            yield Rendered(f"Read: {own['text']}", answer, (), -1, (own["answer"],), 0, str(number), own)

    return Task(
        name=name, cluster="nli", benchmark="random", kind="generation", metrics=(), splits=("train", "test"),
        templates=(TemplateInfo(0),), source="random", licence="", citation="", fingerprint=name, template_file="",
        render=render,
    )  # fmt: skip


def peak_memory(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 2**20


def processor_seconds() -> float:
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--rows", type=int, default=10_000, help="training rows a task")
    parser.add_argument("--evaluated", type=int, default=500, help="evaluation examples a task")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print_setting(vars(arguments), packages=("numpy", "pyarrow"))

    lengths = flan_like_lengths(arguments.tasks, arguments.rows + arguments.evaluated)
    with tempfile.TemporaryDirectory() as folder:
        store, names, sources = Store(pathlib.Path(folder)), [], []
        for number, (name, own) in enumerate(lengths.items()):
            task = random_task(name, own, arguments.evaluated, number)
            size = write_text(store, task, "train", text_request(task, "train", 0, None)).data.size
            write_text(store, task, "test", text_request(task, "test", 0, None))
            sources.append(TaskSource(folder, name, "nli", "train", size))
            names.append(task)
        before = peak_memory(resource.RUSAGE_SELF)
        start = time.perf_counter()
        texts = read_evaluation_texts(store, names, "test")
        grams = collect_grams(texts.texts, 8, 13)
        collected = time.perf_counter() - start
        used = processor_seconds()
        found = search_sources(sources, grams, 11, arguments.processes)
        searched, used = time.perf_counter() - start - collected, processor_seconds() - used
        verdict = Verdict(texts, grams, sources, found, 10)
        dirty = [verdict.task(number).dirty for number in range(len(names))]
        judged = time.perf_counter() - start - collected - searched
        rows, words = arguments.tasks * arguments.rows, sum(one.words for one in found)
        size = sum(source.size for source in sources)

    assert all(count >= arguments.evaluated // 10 * 0.9 for count in dirty), dirty
    print(f"{rows:,} rows, {words:,} words, {size / 1e6:,.0f} MB of text layer; {len(texts.example_ids):,} examples "
          f"evaluated, {len(grams.keys):,} n-grams, {sum(dirty):,} dirty")  # fmt: skip
    rates = f"{rows / searched:,.0f} rows/s, {words / searched / 1e6:.1f} M words/s, {size / searched / 1e6:.0f} MB/s"
    print(f"collect {collected:6.1f} s\nsearch  {searched:6.1f} s   {rates}\njudge   {judged:6.1f} s")
    print(f"search  {used:6.1f} s of processor, {rows / used:,.0f} rows/s of one core")
    print(f"FLAN's {FLAN_ROWS:,} rows of such lengths: {FLAN_ROWS / rows * searched / 60:.1f} minutes as measured, "
          f"{FLAN_ROWS / rows * used / 2 / 60:.1f} on 2 free cores")  # fmt: skip
    print(f"peak memory {peak_memory(resource.RUSAGE_SELF):.2f} GiB, {before:.2f} of it from making the texts; "
          f"largest worker {peak_memory(resource.RUSAGE_CHILDREN):.2f} GiB")  # fmt: skip


if __name__ == "__main__":
    main()
