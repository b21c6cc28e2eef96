"""Requests and a tiny model made of random numbers, for tests of this folder."""

import numpy as np

from flan_jax.evaluation.requests import Request
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder

MODEL = DecoderConfig(
    vocab_size=61, num_layers=2, embed_dim=32, num_heads=4, num_kv_heads=2, mlp_dim=48, max_length=96, scan_layers=True
)  # fmt: skip


def tiny_params(seed: int = 0):
    return build_decoder(MODEL, seed)[1]


def make_request(
    context=(1, 2, 3), options=((4,), (5,)), answer=0, template=0, example_id="e", references=(" a",), new_tokens=0,
    task="t",
) -> Request:  # fmt: skip
    return Request(
        task=task, cluster="c", split="test", example_id=example_id, template=template,
        context=np.array(context, np.int32), options=tuple(np.array(option, np.int32) for option in options),
        option_texts=tuple(f" option{i}" for i in range(len(options))), answer=answer, references=tuple(references),
        inputs="some input", max_new_tokens=new_tokens,
    )  # fmt: skip


def random_requests(count: int, seed: int = 0, longest_context: int = 50, longest_option: int = 9) -> list[Request]:
    draw = np.random.default_rng(seed)

    def tokens(most: int) -> list[int]:
        return draw.integers(2, MODEL.vocab_size, draw.integers(1, most + 1)).tolist()

    def options() -> list[list[int]]:
        return [tokens(longest_option) for _ in range(draw.integers(2, 6))]

    return [make_request(tokens(longest_context), options(), example_id=f"e{i}") for i in range(count)]
