"""Time to plan, and how full the rows are, at the size of FLAN: 62 tasks of 30,000 examples, every one packed once.

    python scripts/benchmarks/packing_fill.py [--row_length 1024] [--examples 30000] [--shots 5 | --shots 0 5]

Beside best-fit in windows, on documents in the order of the mixture: next-fit, which is what a streaming packer with
one open row does, and padding every example to the longest of its batch of 8.
"""

import argparse
import dataclasses
import itertools
import pathlib
import tempfile
import time

import numpy as np
from measured import print_peak_memory, print_setting
from synthetic_store import flan_like_lengths, write_store

from flan_jax.data.exemplars import FewShot, special_tokens
from flan_jax.data.mixing import Rates
from flan_jax.data.plan import PlanConfig, build_plan
from flan_jax.data.pool import build_pool, with_exemplars
from flan_jax.data.store import Store
from flan_jax.data.vocabulary import ByteVocabulary


def unpacked_lengths(store: Store, config: PlanConfig, stretches: int) -> np.ndarray:
    """Tokens of the plan's documents in the order of the mixture, which packing takes them in."""
    lengths = (config.inputs_length, config.targets_length, config.row_length)
    tables = [store.open_tokens(ByteVocabulary.digest, task, "train") for task in config.tasks]
    special = special_tokens(ByteVocabulary(), config.few_shot, config.shows_exemplars)
    pool = build_pool(config.tasks, tables, config.rates, lengths, special, config.seed)
    if config.shows_exemplars:
        pool = with_exemplars(
            pool, tables, tables, config.rates, lengths, special, config.seed, config.shots, config.few_shot
        )
    return np.concatenate([part.lengths(special) for part in itertools.islice(pool.stream(), stretches)])


def next_fit_fill(lengths: np.ndarray, row_length: int) -> float:
    rows, used = 1, 0
    for length in lengths.tolist():
        rows, used = (rows + 1, length) if used + length > row_length else (rows, used + length)
    return float(lengths.sum()) / (rows * row_length)


def padded_fill(lengths: np.ndarray, batch: int = 8) -> float:
    whole = lengths[: len(lengths) // batch * batch].reshape(-1, batch)
    return float(whole.sum() / (whole.max(axis=1) * batch).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=62)
    parser.add_argument("--examples", type=int, default=30_000, help="a task")
    parser.add_argument("--rows_per_batch", type=int, default=8)
    parser.add_argument("--row_length", type=int, default=1024)
    parser.add_argument("--inputs_length", type=int, default=1024)
    parser.add_argument("--shots", type=int, nargs="+", default=[0])
    parser.add_argument("--templates", choices=["mixed", "same"], default="mixed", help="of exemplars")
    arguments = parser.parse_args()
    print_setting(vars(arguments))

    lengths = flan_like_lengths(arguments.tasks, arguments.examples)
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(pathlib.Path(folder), ByteVocabulary(), lengths)
        # Shares in proportion to the examples, so that one epoch of each is about what the steps hold.
        config = PlanConfig(
            tuple(lengths), 1, arguments.rows_per_batch, arguments.row_length, arguments.inputs_length,
            rates=Rates(example_cap=None, rate_maximum=None),
            shots=tuple(arguments.shots), few_shot=FewShot(templates=arguments.templates),
        )  # fmt: skip
        some = unpacked_lengths(store, config, stretches=10)
        tokens = float(some.mean()) * sum(len(inputs) for inputs, _ in lengths.values())
        steps = max(1, int(tokens) // (arguments.row_length * arguments.rows_per_batch))
        config = dataclasses.replace(config, steps=steps)
        for name in lengths:
            store.open_tokens(ByteVocabulary.digest, name, "train")  # checks the checksums, which is not planning
        start, wall = time.process_time(), time.perf_counter()
        plan = build_plan(store, ByteVocabulary(), config)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
        print(f"planned {plan.documents:,} documents into {plan.steps * plan.rows_per_batch:,} rows in "
              f"{seconds:.1f} s of one core ({wall:.1f} s by the clock)")  # fmt: skip
        stray = max(abs(task.share_of_examples - task.requested_share) for task in plan.tasks)
        print(f"largest difference of a share from the requested: {stray:.1e}")
        if config.shows_exemplars:
            shown, *left_out = (
                sum(getattr(task, name) for task in plan.tasks)
                for name in ("exemplars", "exemplars_without_room", "exemplars_without_row")
            )
            print(f"exemplars a document: {shown / plan.documents:.2f}; left out for want of room and of rows: "
                  f"{' and '.join(f'{count / plan.documents:.2f}' for count in left_out)}")  # fmt: skip
        print(f"{'fill, best-fit windows':28}{plan.fill:8.4f}")
        print(f"{'fill, next-fit':28}{next_fit_fill(some, plan.row_length):8.4f}")
        print(f"{'fill, padded to longest of 8':28}{padded_fill(some):8.4f}")
        print_peak_memory()


if __name__ == "__main__":
    main()
