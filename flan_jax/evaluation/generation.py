"""Answers of a model to many requests, in groups that share a width of the cache."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from flan_jax.decoding.beam import beam_search
from flan_jax.decoding.engine import Answer, Ask, Engine, row_length
from flan_jax.decoding.placing import fetch, place
from flan_jax.decoding.prompts import pack_prompts
from flan_jax.decoding.settings import Decoding, DecodingError, random_bits
from flan_jax.decoding.steps import new_cache, read_prompts
from flan_jax.decoding.stopping import Decode, Text
from flan_jax.evaluation.requests import Request
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apart


class Generated(NamedTuple):
    """An answer: its tokens without EOS, up to the one that completed a stop string, and its text to before that.

    finish: what ended it, "eos", "stop" (a stop string) or "length".
    score: the one that beam search ranked it by, None with the other methods.
    """

    tokens: list[int]
    text: str
    finish: str
    score: float | None = None


Keep = Callable[[int, Generated], object]
"""What is told of an answer that has ended, with its number."""


def generate(
    config: DecoderConfig,
    params: Params,
    requests: Sequence[Request],
    eos: int,
    decode: Decode,
    decoding: Decoding | None = None,
    *,
    tokens_per_batch: int = 4096,
    mesh: Mesh | None = None,
    advance: Callable[[int], object] = lambda questions: None,
    keep: Keep = lambda number, said: None,
) -> list[Generated]:
    """The answer to each request, in the order of `requests`, which like their batches plays no part, but for rounding.

    decode: from tokens to text.  tokens_per_batch bounds the cache: rows × columns (beams are rows).  With a mesh, as
    in `ranking.score_options`.  `advance(n)` is told of n more answers, `keep` of each, with the number of
    its request.  Raises DecodingError where the model's scores
    are not numbers.
    """
    decoding = decoding or Decoding()
    params = apart(config, params)
    shards = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
    sizes = [len(request.context) + request.max_new_tokens for request in requests]
    answers: dict[int, Generated] = {}
    for length, members in group_by_length(sizes, tokens_per_batch):
        per_request = decoding.beams if decoding.method == "beam" else 1
        at_once = max(min(tokens_per_batch // (length * per_request), len(members)) // shards, 1) * shards
        asked = [requests[index] for index in members]
        keep_own: Keep = lambda place, said, own=members: keep(own[place], said)  # noqa: E731
        if decoding.method == "beam":
            found = _search(config, params, asked, eos, decode, decoding, length, at_once, mesh, advance, keep_own)
        else:
            found = _continue(config, params, asked, eos, decode, decoding, length, at_once, mesh, advance, keep_own)
        answers.update(zip(members, found, strict=True))
    return [answers[index] for index in range(len(requests))]


def group_by_length(sizes: Sequence[int], tokens_per_batch: int) -> list[tuple[int, list[int]]]:
    """(columns of the cache, requests that are answered in it), of requests that need so many columns each.

    The longest first: what is in flight together is alike, and short ones fill up the end.  A step reads no further
    than its longest row, so short requests get a narrower cache, which has more rows, only where there are enough of
    them to fill it four times: at the end of a group its rows run empty.
    """
    lengths = np.array([row_length(size) for size in sizes], np.int64)
    groups: list[tuple[int, list[int]]] = []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        length = int(lengths[index])
        if not groups or 2 * length <= groups[-1][0]:
            alike = int(np.sum((lengths <= length) & (2 * lengths > length)))
            if not groups or alike >= 4 * (tokens_per_batch // length):
                groups.append((length, []))
        groups[-1][1].append(index)
    return groups


def _continue(
    config: DecoderConfig, params: Params, requests: Sequence[Request], eos: int, decode: Decode, decoding: Decoding,
    length: int, at_once: int, mesh: Mesh | None, advance: Callable[[int], object], keep: Keep,
) -> list[Generated]:  # fmt: skip
    engine = Engine(config, params, eos, decode, rows=at_once, length=length, mesh=mesh)
    temperature = decoding.temperature if decoding.method == "sample" else 0.0
    answers = [
        engine.submit(
            Ask(
                request.context, request.max_new_tokens, temperature, decoding.top_p,
                random_bits(decoding.seed, request.id), decoding.stop,
            )
        )
        for request in requests
    ]  # fmt: skip
    number = {answer: index for index, answer in enumerate(answers)}
    while engine.busy:
        ended = [answer for answer in engine.step() if answer.finish is not None]
        for answer in ended:
            keep(number[answer], _said(answer))
        advance(len(ended))
    return [_said(answer) for answer in answers]


def _said(answer: Answer) -> Generated:
    return Generated(answer.tokens, answer.text.whole, str(answer.finish))


def _search(
    config: DecoderConfig, params: Params, requests: Sequence[Request], eos: int, decode: Decode, decoding: Decoding,
    length: int, at_once: int, mesh: Mesh | None, advance: Callable[[int], object], keep: Keep,
) -> list[Generated]:  # fmt: skip
    """Whole batches of `at_once` requests.  A stop string cuts the best hypothesis once it is found."""
    found = []
    most = max(request.max_new_tokens for request in requests)
    beams = decoding.beams
    for start in range(0, len(requests), at_once):
        chosen = requests[start : start + at_once]
        cache = new_cache(config, at_once * beams, length, mesh)
        prompts = [(row * beams, np.asarray(request.context, np.int32)) for row, request in enumerate(chosen)]
        for pack in pack_prompts(prompts, at_once):
            cache = read_prompts(config, mesh, params, cache, *pack)
        state = np.zeros((3, at_once), np.int32)  # last token, its position, tokens allowed
        for row, request in enumerate(chosen):
            state[:, row] = request.context[-1], len(request.context) - 1, request.max_new_tokens
        last, position, allowed = (place(part, mesh) for part in state)
        best = beam_search(
            config, mesh, beams, decoding.length_penalty, most, params, cache, last, position, allowed, jnp.int32(eos)
        )
        tokens, scores, lengths = (fetch(part)[: len(chosen), 0] for part in best)
        for said, score, count in zip(tokens, scores.tolist(), lengths.tolist(), strict=True):
            if not np.isfinite(score) or score < -1e20:
                raise DecodingError("the model's scores are not numbers; it diverged")
            text = Text(decode, decoding.stop)
            text.add([token for token in said[:count].tolist() if token != eos])
            finish = "stop" if text.stopped else "eos" if eos in said[:count] else "length"
            found.append(Generated(text.tokens, text.whole, finish, score))
            keep(len(found) - 1, found[-1])
        advance(len(chosen))
    return found
