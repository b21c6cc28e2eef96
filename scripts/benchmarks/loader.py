"""Tokens a second of the loader on one core, beside a plain per-row reading of the same plan.

    python scripts/benchmarks/loader.py [--tasks 62] [--rows_per_batch 8] [--row_length 1024] [--steps 2000]

The token store holds random tokens with lengths like FLAN's (synthetic_store.py); with --short, documents of some 20
tokens as in the embedded suite, which cost the most a token.  Times are CPU seconds of the process, best of --repeats.
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
from measured import print_peak_memory, print_setting
from synthetic_store import flan_like_lengths, write_store

from flan_jax.data.composition import Batch
from flan_jax.data.loader import Loader, batch_at
from flan_jax.data.plan import Plan, PlanConfig, build_plan
from flan_jax.data.vocabulary import ByteVocabulary


def read_plainly(plan: Plan, step: int) -> Batch:
    """A row at a time, a document at a time, with lists and concatenation: how one writes it first."""
    documents, row_of_document = plan.step_documents(step, 0, plan.rows_per_batch)
    batch = Batch(*(np.zeros((plan.rows_per_batch, plan.row_length), t) for t in [np.int32] * 3 + [np.float32]))
    for row in range(plan.rows_per_batch):
        tokens, positions, segment_ids, weights = [], [], [], []
        for i, document in enumerate(np.flatnonzero(row_of_document == row)):
            task, example, start = (int(column[document]) for column in documents[:3])
            table = plan.tables[task]
            inputs = table.inputs_values[table.inputs_offsets[example] : table.inputs_offsets[example + 1]][start:]
            targets = table.targets_values[table.targets_offsets[example] : table.targets_offsets[example + 1]]
            part = inputs.tolist() + targets.tolist() + [plan.special.eos]
            tokens += part
            positions += range(len(part))
            segment_ids += [i + 1] * len(part)
            weights += [0.0] * len(inputs) + [1.0] * (len(targets) + 1)
        for array, values in zip(batch, (tokens, positions, segment_ids, weights), strict=True):
            array[row, : len(values)] = values
    return batch


def tokens_per_second(read: Callable[[], int], repeats: int) -> float:
    """`read` returns the tokens (not padding) it has read."""
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        best = max(best, read() / (time.process_time() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=62)
    parser.add_argument("--examples", type=int, default=2000, help="a task")
    parser.add_argument("--rows_per_batch", type=int, default=8)
    parser.add_argument("--row_length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    print_setting(vars(arguments))

    lengths = flan_like_lengths(arguments.tasks, arguments.examples)
    if arguments.short:
        lengths = {task: (inputs % 20 + 8, targets % 5 + 1) for task, (inputs, targets) in lengths.items()}
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(pathlib.Path(folder), ByteVocabulary(), lengths)
        config = PlanConfig(tuple(lengths), arguments.steps, arguments.rows_per_batch, arguments.row_length)
        plan = build_plan(store, ByteVocabulary(), config)
        tokens = round(plan.fill * plan.steps * plan.rows_per_batch * plan.row_length)
        few = max(1, plan.steps // 20)

        def by_steps() -> int:
            for step in range(plan.steps):
                batch_at(plan, step)
            return tokens

        def by_loader() -> int:
            assert sum(1 for _ in Loader(plan)) == plan.steps
            return tokens

        def plainly() -> int:
            return sum(int((read_plainly(plan, step).segment_ids > 0).sum()) for step in range(few))

        print(f"documents of {tokens / plan.documents:.0f} tokens on average, fill {plan.fill:.4f}")
        plain = tokens_per_second(plainly, arguments.repeats)
        print(f"{'plain per-row reading':24}{plain / 1e6:8.2f} M tokens/s   1.0x")
        for name, read in (("batch_at", by_steps), ("Loader (Grain)", by_loader)):
            rate = tokens_per_second(read, arguments.repeats)
            print(f"{name:24}{rate / 1e6:8.2f} M tokens/s   {rate / plain:.1f}x")
        print_peak_memory()


if __name__ == "__main__":
    main()
