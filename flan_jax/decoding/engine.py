"""Continuous batching: a fixed number of rows, each answering one request; a row that ends makes room for the next.

The others go on meanwhile, so short answers do not wait for long ones (Yu et al. 2022, "Orca", section 3).  New prompts
are read packed, several in one row of tokens; then every row says a few tokens before the host looks again.  What a
request is answered does not depend on which others are in flight, but for rounding.
"""

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from flan_jax.decoding.placing import fetch, place
from flan_jax.decoding.prompts import pack_prompts
from flan_jax.decoding.settings import DecodingError
from flan_jax.decoding.steps import NOT_A_NUMBER, Rows, new_cache, read_prompts, say
from flan_jax.decoding.stopping import Decode, Text
from flan_jax.models.cache import BLOCK, blocks_for
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apart

CHUNK = 16
"""Most tokens that every row says before the host looks again."""


@dataclasses.dataclass(frozen=True, eq=False)
class Ask:
    """One request.  `prompt` is never empty and has room for `max_new_tokens` in the engine.

    temperature 0 is greedy; bits: see `settings.random_bits`.  told: tell log-probabilities too.
    decode: from the answer's tokens to text, where it is not the engine's.
    """

    prompt: Sequence[int] | np.ndarray
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    bits: tuple[int, int] = (0, 0)
    stop: Sequence[str] = ()
    told: bool = False
    decode: Decode | None = None


@dataclasses.dataclass(eq=False)
class Answer:
    """What has been said, EOS left out; `finish` is None while it goes on.

    After a stop string, `tokens` reach to the one that completed it, and `text` to before it.  `scores`, `top_tokens`
    and `top_scores` are those of `tokens`, where they are told (see `steps.Said`).
    """

    ask: Ask
    text: Text
    finish: Literal["eos", "stop", "length", "cancelled"] | None = None
    scores: list[float] = dataclasses.field(default_factory=list)
    top_tokens: list[list[int]] = dataclasses.field(default_factory=list)
    top_scores: list[list[float]] = dataclasses.field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return self.text.tokens


class Engine:
    """Answers requests with the given parameters, `rows` at a time, each of at most `length` tokens with its prompt.

    decode: from tokens to text.  chunk: the most tokens a row says in a step, at most CHUNK: fewer come more smoothly,
    more are faster.  With a mesh, rows are shared over data × fsdp (of which `rows` is a multiple), and
    every process must submit the same requests in the same order.
    """

    def __init__(
        self, config: DecoderConfig, params: Params, eos: int, decode: Decode, *, rows: int, length: int,
        chunk: int = CHUNK, mesh: Mesh | None = None,
    ):  # fmt: skip
        self.config = dataclasses.replace(config, remat="none")
        self.length, self.mesh = length, mesh
        self._chunk = min(chunk, CHUNK)
        self.params = apart(config, params)
        self._eos, self._decode = eos, decode
        self._size = rows
        self.reset()

    def reset(self) -> None:
        """Begin anew with nothing in flight, as after an error that took the cache with it."""
        self._cache = new_cache(self.config, self._size, self.length, self.mesh)
        self._answers: list[Answer | None] = [None] * self._size
        self._waiting: deque[Answer] = deque()
        token, position, left, said = np.zeros((4, self._size), np.int32)
        temperature, top_p = np.zeros((2, self._size), np.float32)
        bits = np.zeros((self._size, 2), np.uint32)
        self._rows = Rows(token, position, left, said, temperature, top_p, bits)

    def submit(self, ask: Ask) -> Answer:
        """Put a request behind those that wait.  Raises DecodingError where it can never be answered."""
        if not len(ask.prompt):
            raise DecodingError("there is nothing to continue: the prompt has no token")
        if ask.max_new_tokens < 1 or len(ask.prompt) + ask.max_new_tokens > self.length:
            raise DecodingError(
                f"a prompt of {len(ask.prompt)} tokens and {ask.max_new_tokens} new ones do not fit the "
                f"{self.length} tokens of a row; ask for fewer, at least 1"
            )
        answer = Answer(ask, Text(ask.decode or self._decode, ask.stop))
        self._waiting.append(answer)
        return answer

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(self._answers)

    def cancel(self, answer: Answer) -> None:
        """Give its row, or its place among those that wait, to others."""
        if answer.finish is None:
            answer.finish = "cancelled"
        if answer in self._waiting:
            self._waiting.remove(answer)
        for row, held in enumerate(self._answers):
            if held is answer:
                self._free(row)

    def step(self) -> list[Answer]:
        """Let waiting requests into free rows and say some tokens: the answers that grew or ended."""
        self._admit()
        left = self._rows.left
        going = left > 0
        if not going.any():
            return []
        steps = min(self._chunk, int(left[going].min() if self._waiting else left.max()))
        deepest = int((self._rows.position + np.minimum(left, steps))[going].max())
        blocks = min(blocks_for(deepest), len(self._cache[0]["keys"]))
        draws = self._rows.temperature[going] > 0
        cut = draws & (self._rows.top_p[going] < 1)
        how = "nucleus" if cut.any() else "sample" if draws.any() else "greedy"
        told = any(answer is not None and answer.ask.told for answer in self._answers)
        self._cache, said = say(
            # copies, as a device may still read them when the host has moved on
            self.config, self.mesh, blocks, CHUNK, how, told, self.params, self._cache,
            Rows(*(place(part.copy(), self.mesh) for part in self._rows)), jnp.int32(self._eos), jnp.int32(steps),
        )  # fmt: skip
        fetched = [fetch(part) for part in said]
        return [self._take(row, [part[row] for part in fetched], steps) for row in np.flatnonzero(going).tolist()]

    def _take(self, row: int, said: list[np.ndarray], steps: int) -> Answer:
        answer = self._answers[row]
        assert answer is not None
        tokens = said[0][: min(steps, int(self._rows.left[row]))].tolist()
        if NOT_A_NUMBER in tokens:
            raise DecodingError("the model's scores are not numbers; it diverged")
        ended = self._eos in tokens
        if ended:
            tokens = tokens[: tokens.index(self._eos)]
        before = len(answer.tokens)
        answer.text.add(tokens)
        if answer.ask.told:
            taken = len(answer.tokens) - before
            answer.scores += said[1][:taken].tolist()
            answer.top_tokens += said[2][:taken].tolist()
            answer.top_scores += said[3][:taken].tolist()
        self._rows.left[row] -= len(tokens)
        if answer.text.stopped:
            answer.finish = "stop"
        elif ended:
            answer.finish = "eos"
        elif not self._rows.left[row]:
            answer.finish = "length"
        if answer.finish:
            self._free(row)
        else:
            self._rows.token[row] = tokens[-1]
            self._rows.position[row] += len(tokens)
            self._rows.said[row] += len(tokens)
        return answer

    def _free(self, row: int) -> None:
        self._answers[row] = None
        for part in self._rows:
            part[row] = 0

    def _admit(self) -> None:
        """Fill free rows, in the order of submission."""
        taken: list[tuple[int, np.ndarray]] = []
        for row, held in enumerate(self._answers):
            if held is not None or not self._waiting:
                continue
            answer = self._answers[row] = self._waiting.popleft()
            ask, prompt = answer.ask, np.asarray(answer.ask.prompt, np.int32)
            values = (prompt[-1], len(prompt) - 1, ask.max_new_tokens, 0, ask.temperature, ask.top_p, ask.bits)
            for part, value in zip(self._rows, values, strict=True):
                part[row] = value
            taken.append((row, prompt))
        for pack in pack_prompts(taken, len(self._answers)):
            self._cache = read_prompts(self.config, self.mesh, self.params, self._cache, *pack)


def row_length(longest: int) -> int:
    """The tokens of a row of the cache that holds at least so many: whole blocks, few sizes."""
    return blocks_for(longest) * BLOCK
