"""A training step of the decoder against a LLaMA of the same shape in `transformers` (PyTorch), on this machine's CPU.

    python scripts/benchmarks/train_step_against_transformers.py [--rounds 5] [--threads 2]

Two questions.  How long does a step on 8 full rows take (loss on every token, AdamW, clipping, fp32)?  And how many
*useful* tokens a second does each learn from documents with lengths like FLAN's: ours in packed rows, the other with
each batch of 8 padded to its longest, as its collators do?  The sides are processes of their own that take turns, a
step each, so that they meet the same machine: the ratios count, medians over the rounds.  Both keep the memory they
free (MEMORY, as scripts/quickstart.sh sets it): without, the kernel maps and clears it anew in every step, more so for
XLA, and what that costs hangs on the machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measured import print_setting

LAYERS, WIDTH, HEADS, MLP, VOCABULARY, ROWS, LENGTH = 6, 384, 6, 1024, 8000, 8, 512
MEMORY = "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184"
Documents = list[int]  # lengths; the tokens are random


def ours(threads: int) -> Callable[[list[Documents]], None]:
    """The project's own trainer step; a row holds any number of documents."""
    import jax

    from flan_jax.models.config import DecoderConfig
    from flan_jax.training.train_step import make_trainer

    config = DecoderConfig(
        vocab_size=VOCABULARY, num_layers=LAYERS, embed_dim=WIDTH, num_heads=HEADS, mlp_dim=MLP, max_length=LENGTH
    )
    trainer = make_trainer(config, steps=1000)
    state, step, random = trainer.initial_state(0), trainer.make_step(), np.random.default_rng(0)

    def run(rows: list[Documents]) -> None:
        nonlocal state
        batch = {name: np.zeros((ROWS, LENGTH), np.int32) for name in ("tokens", "positions", "segment_ids")}
        for row, documents in enumerate(rows):
            used = sum(documents)
            batch["tokens"][row, :used] = random.integers(1, VOCABULARY, used)
            batch["positions"][row, :used] = np.concatenate([np.arange(n) for n in documents])
            batch["segment_ids"][row, :used] = np.repeat(np.arange(len(documents)) + 1, documents)
        weights = ((batch["segment_ids"] > 0) & (batch["positions"] > 0)).astype(np.float32)
        state, metrics = step(state, jax.tree.map(jax.numpy.asarray, {**batch, "loss_weights": weights}))
        jax.block_until_ready(metrics)

    return run


def theirs(threads: int) -> Callable[[list[Documents]], None]:
    """A bare loop, without what `transformers.Trainer` adds; a row holds one document."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    shape = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=MLP, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=LENGTH, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)

    def run(rows: list[Documents]) -> None:
        lengths = torch.tensor([documents[0] for documents in rows])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        tokens = torch.randint(1, VOCABULARY, mask.shape)
        # Full rows need no mask, which lets PyTorch take its fastest attention.
        attention_mask = None if bool(mask.all()) else mask.long()
        labels = torch.where(mask, tokens, -100)
        model(input_ids=tokens, attention_mask=attention_mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def serve(side: str, threads: int) -> None:
    """Rows in, a line each; wall seconds, processor seconds and peak memory (GiB) out."""
    run = {"ours": ours, "theirs": theirs}[side](threads)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        run(json.loads(line))
        seconds = time.perf_counter() - wall, time.process_time() - processor
        print(json.dumps([*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]), flush=True)


class Side:
    """A process that takes steps when told, and what it took for them."""

    def __init__(self, side: str, threads: int):
        command = [sys.executable, __file__, "--serve", side, "--threads", str(threads)]
        environment = {**os.environ, "GLIBC_TUNABLES": MEMORY}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.steps: list[tuple[int, float, float]] = []  # useful tokens, wall and processor seconds
        self.peak = 0.0

    def step(self, rows: list[Documents], counted: bool = True) -> None:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(rows), file=self.process.stdin, flush=True)
        wall, processor, self.peak = json.loads(self.process.stdout.readline())
        if counted:
            self.steps.append((sum(map(sum, rows)), wall, processor))

    def useful_tokens_per_second(self) -> tuple[float, float]:
        """Of wall time, and of processor time, which others on the machine disturb less."""
        tokens, wall, processor = np.sum(self.steps, axis=0)
        return float(tokens / wall), float(tokens / processor)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def document_lengths(seed: int = 0) -> np.ndarray:
    """Documents of 62 tasks in mixed order, cut to LENGTH."""
    from synthetic_store import flan_like_lengths

    tasks = flan_like_lengths(62, 200, seed)
    lengths = np.concatenate([inputs + targets + 1 for inputs, targets in tasks.values()])
    return np.random.default_rng(seed).permutation(np.minimum(lengths, LENGTH))


def packed_batches(lengths: np.ndarray) -> Iterator[list[Documents]]:
    from flan_jax.data.packing import best_fit

    row_of, count = best_fit(lengths, LENGTH)
    rows: list[Documents] = [[] for _ in range(count)]
    for length, row in zip(lengths.tolist(), row_of.tolist(), strict=True):
        rows[row].append(length)
    order = np.random.default_rng(0).permutation(count)  # best fit made the fullest first
    for start in range(0, count - ROWS + 1, ROWS):
        yield [rows[i] for i in order[start : start + ROWS]]


def padded_batches(lengths: np.ndarray) -> Iterator[list[Documents]]:
    for start in range(0, len(lengths) - ROWS + 1, ROWS):
        yield [[int(length)] for length in lengths[start : start + ROWS]]


def medians(side: Side) -> tuple[float, float]:
    return tuple(np.median([step[1:] for step in side.steps], axis=0).tolist())


def compare_full_rows(rounds: int, threads: int) -> None:
    sides = Side("ours", threads), Side("theirs", threads)
    for turn in range(rounds + 1):
        for side in sides:
            side.step([[LENGTH]] * ROWS, counted=turn > 0)  # the first compiles
    print(f"\nfull rows, {ROWS} x {LENGTH}   seconds a step   processor seconds   tokens/s   peak memory")
    for name, side in zip(("flan_jax", "transformers"), sides, strict=True):
        wall, processor = medians(side)
        print(f"{name:20}{wall:17.3f}{processor:20.2f}{ROWS * LENGTH / wall:11.0f}{side.peak:10.2f} GiB")
        side.close()
    ratios = [other[1] / mine[1] for mine, other in zip(sides[0].steps, sides[1].steps, strict=True)]
    processor = np.median([other[2] / mine[2] for mine, other in zip(sides[0].steps, sides[1].steps, strict=True)])
    print(f"speed, ours / theirs: {np.median(ratios):.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})", end="; ")
    print(f"by processor time {processor:.2f}")


def compare_useful_tokens(rounds: int, threads: int) -> None:
    from packing_fill import padded_fill

    lengths = document_lengths()
    sides = Side("ours", threads), Side("theirs", threads)
    packed, padded = packed_batches(lengths), padded_batches(lengths)
    sides[0].step(next(packed), counted=False)
    sides[1].step([[LENGTH]] * ROWS, counted=False)
    for _ in range(rounds):
        sides[0].step(next(packed))
        for _ in range(4):  # padded batches differ in size: more of them, for the same precision
            sides[1].step(next(padded))
    fill = sum(step[0] for step in sides[0].steps) / (ROWS * LENGTH * rounds)
    print(
        f"\ndocuments of {lengths.mean():.0f} tokens on average   "
        "fill   useful tokens/s   /processor second   peak memory"
    )
    for name, side, full in zip(("packed rows", "padded to longest"), sides, (fill, padded_fill(lengths)), strict=True):
        wall, processor = side.useful_tokens_per_second()
        print(f"{name:37}{full:7.3f}{wall:18.0f}{processor:20.0f}{side.peak:10.2f} GiB")
        side.close()
    ours, theirs = (np.array(side.useful_tokens_per_second()) for side in sides)
    wall, processor = ours / theirs
    print(f"useful tokens, ours / theirs: {wall:.2f} a second, {processor:.2f} a processor second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; JAX takes every core it may use")
    parser.add_argument("--serve", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.threads)
    settings: dict[str, Any] = {
        "layers": LAYERS, "width": WIDTH, "heads": HEADS, "mlp": MLP, "vocabulary": VOCABULARY, "batch":
        f"{ROWS}x{LENGTH}", "dtype": "float32", "rounds": arguments.rounds, "threads": arguments.threads,
    }  # fmt: skip
    print_setting(settings, ("jax", "flax", "torch", "transformers"))
    compare_full_rows(arguments.rounds, arguments.threads)
    compare_useful_tokens(arguments.rounds, arguments.threads)


if __name__ == "__main__":
    main()
