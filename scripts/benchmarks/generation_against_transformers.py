"""Greedy generation against `generate` of `transformers` (PyTorch), the same checkpoint, on this machine's CPU.

    python scripts/benchmarks/generation_against_transformers.py [--requests 64] [--rounds 3] [--cores 2]

Prompts of 20 to 300 tokens are each continued by 16 to 128 (no end of text, so the lengths are what they are drawn as).
The other side gets its requests sorted by how much is wanted, in batches padded on the left, each run until its longest
answer is done; only wanted tokens count.  Each side is run at several batch sizes and its best counts.  The sides are
processes of their own that take turns, so that they meet the same machine; a first turn, which compiles, is not
counted.  Ratios count: of wall time, and of processor time, which others on the machine disturb less.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measured import print_peak_memory, print_setting

LAYERS, WIDTH, HEADS, MLP, VOCABULARY, LENGTH = 8, 384, 6, 1024, 8192, 512
Requests = list[tuple[list[int], int]]  # prompt, tokens wanted
Answer = Callable[[Requests, int], list[list[int]]]


def ours(checkpoint: str) -> Answer:
    import dataclasses

    from flan_jax.evaluation.generation import generate
    from flan_jax.evaluation.requests import Request
    from flan_jax.interop.import_hf import import_hf, read_source

    config, params = import_hf(read_source(checkpoint))

    def answer(requests: Requests, rows: int) -> list[list[int]]:
        asked = [
            Request(
                task="t", cluster="", split="", example_id=str(i), template=0, context=np.array(prompt, np.int32),
                options=(), option_texts=(), answer=0, references=("",), inputs="", max_new_tokens=wanted,
            )
            for i, (prompt, wanted) in enumerate(requests)
        ]  # fmt: skip
        answers = generate(dataclasses.replace(config), params, asked, -1, str, tokens_per_batch=rows * LENGTH)
        return [answer.tokens for answer in answers]

    return answer


def theirs(checkpoint: str) -> Answer:
    import torch
    import transformers

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def answer(requests: Requests, size: int) -> list[list[int]]:
        order = sorted(range(len(requests)), key=lambda i: (-requests[i][1], -len(requests[i][0])))
        answers: dict[int, list[int]] = {}
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            width = max(len(requests[i][0]) for i in chosen)
            tokens, mask = np.zeros((2, len(chosen), width), np.int64)
            for row, i in enumerate(chosen):
                prompt = requests[i][0]
                tokens[row, width - len(prompt) :], mask[row, width - len(prompt) :] = prompt, 1
            with torch.inference_mode():
                said = model.generate(
                    torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask), do_sample=False,
                    max_new_tokens=max(requests[i][1] for i in chosen), eos_token_id=None, pad_token_id=0,
                )  # fmt: skip
            for row, i in enumerate(chosen):
                answers[i] = said[row, width : width + requests[i][1]].tolist()
        return [answers[i] for i in range(len(requests))]

    return answer


def make_checkpoint(directory: str) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    shape = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=MLP, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=LENGTH, tie_word_embeddings=False,
        initializer_range=0.05,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(shape)
    model.save_pretrained(directory)
    print(f"parameters {sum(weight.numel() for weight in model.parameters()) / 1e6:.1f}M")


def make_requests(count: int) -> Requests:
    draw = np.random.default_rng(0)
    return [
        (draw.integers(3, VOCABULARY, draw.integers(20, 301)).tolist(), int(draw.integers(16, 129)))
        for _ in range(count)
    ]


def serve(side: str, checkpoint: str, count: int) -> None:
    """Batch sizes in, a line each; wall seconds, processor seconds and the answers out."""
    answer, requests = {"ours": ours, "theirs": theirs}[side](checkpoint), make_requests(count)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        answers = answer(requests, int(line))
        print(json.dumps([time.perf_counter() - wall, time.process_time() - processor, answers]), flush=True)
    print_peak_memory()


class Side:
    """A process that answers all requests when told, and what it took."""

    def __init__(self, side: str, checkpoint: str, count: int, sizes: list[int]):
        command = [sys.executable, __file__, "--serve", side, "--checkpoint", checkpoint, "--requests", str(count)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
        self.answers: list[list[int]] = []

    def run(self, size: int, counted: bool) -> None:
        assert self.process.stdin and self.process.stdout
        print(size, file=self.process.stdin, flush=True)
        wall, processor, self.answers = json.loads(self.process.stdout.readline())
        if counted:
            self.seconds[size].append((wall, processor))

    def close(self) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        told = self.process.stdout.read().strip()
        self.process.wait()
        return told


def compare(checkpoint: str, count: int, rounds: int, sizes: dict[str, list[int]]) -> None:
    tokens = sum(wanted for _, wanted in make_requests(count))
    sides = {side: Side(side, checkpoint, count, sizes[side]) for side in sizes}
    for turn in range(rounds + 1):
        for side in sides.values():
            for size in side.seconds:
                side.run(size, counted=turn > 0)
    best: dict[str, tuple[float, float]] = {}
    print(f"\n{tokens} tokens wanted         batch   tokens/s   /processor second   (medians of {rounds})")
    for name, side in sides.items():
        rates = {size: tuple(tokens / np.median(took, axis=0)) for size, took in side.seconds.items()}
        for size, (wall, processor) in rates.items():
            print(f"{name:24}{size:8}{wall:11.0f}{processor:20.0f}")
        best[name] = max(rate[0] for rate in rates.values()), max(rate[1] for rate in rates.values())
    same = np.mean([mine == other for mine, other in zip(*(side.answers for side in sides.values()), strict=True)])
    print(f"answers equal, token for token: {same:.0%}")
    print("   ".join(f"{name} {side.close()}" for name, side in sides.items()))
    wall, processor = np.array(best["ours"]) / np.array(best["theirs"])
    print(f"speed, ours / theirs, each at its best batch: {wall:.2f}; by processor time {processor:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2, help="that each side may use")
    parser.add_argument("--ours", type=int, nargs="+", default=[8, 16, 32], metavar="N", help="rows to try")
    parser.add_argument("--theirs", type=int, nargs="+", default=[8, 16, 32, 64], metavar="N", help="batches to try")
    parser.add_argument("--serve", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.checkpoint, arguments.requests)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    settings = {
        "layers": LAYERS, "width": WIDTH, "heads": HEADS, "mlp": MLP, "vocabulary": VOCABULARY, "dtype": "float32",
        "requests": arguments.requests, "rounds": arguments.rounds, "cores": arguments.cores,
    }  # fmt: skip
    print_setting(settings, ("jax", "flax", "torch", "transformers"))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(pathlib.Path(folder) / "checkpoint")
        make_checkpoint(checkpoint)
        compare(checkpoint, arguments.requests, arguments.rounds, {"ours": arguments.ours, "theirs": arguments.theirs})


if __name__ == "__main__":
    main()
