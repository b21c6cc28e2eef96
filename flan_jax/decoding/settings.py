"""How an answer is generated.  Imports nothing heavy: the command line reads it at once."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flan_jax.errors import FlanJaxError


class DecodingError(FlanJaxError, ValueError):
    """A setting of generation that cannot be followed, or a model whose scores are not numbers."""


METHODS = ("greedy", "sample", "beam")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are generated.

    method: "greedy" takes the most probable token; "sample" draws from the distribution at `temperature` (logits are
      divided by it), cut to the smallest set of tokens that hold `top_p` of it (Holtzman et al. 2020, section 3.1);
      "beam" keeps the `beams` best hypotheses, ranked by log-probability / ((5 + tokens) / 6)^length_penalty (Wu et al.
      2016, equation 14, whose alpha it is; 0 ranks by log-probability).
    task_max_new_tokens: the longest answer of some tasks, as {'wmt16_de_en': 128}; of others, `max_new_tokens` of the
      evaluation.
    stop: texts that end an answer, which is cut before the first of them, wherever tokens begin and end.
    seed: of the draws, together with the id of the request: neither batch nor order changes an answer.
    """

    method: Literal["greedy", "sample", "beam"] = "greedy"
    temperature: float = 1.0
    top_p: float = 1.0
    beams: int = 4
    length_penalty: float = 0.6
    task_max_new_tokens: Mapping[str, int] = dataclasses.field(default_factory=dict)
    stop: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("method", f"one of {', '.join(METHODS)}", lambda method: method in METHODS)
        for name in ("temperature", "top_p", "length_penalty"):
            self._require(name, "a number", lambda value: type(value) in (int, float))
        self._require("stop", "a list of texts, none empty", lambda stop: not isinstance(stop, str) and all(stop))
        object.__setattr__(self, "stop", tuple(self.stop))
        self._require("temperature", "a finite number above 0", lambda value: 0 < value < math.inf)
        self._require("top_p", "above 0 and at most 1", lambda value: 0 < value <= 1)
        self._require("beams", "a whole number of at least 1", lambda value: _whole(value, 1))
        self._require("length_penalty", "a finite number of at least 0", lambda value: 0 <= value < math.inf)
        self._require(
            "task_max_new_tokens", "whole numbers of at least 1 by task",
            lambda value: all(_whole(tokens, 1) for tokens in value.values()),
        )  # fmt: skip
        self._require("seed", "a whole number of at least 0", lambda value: _whole(value, 0))

    def _require(self, name: str, wanted: str, holds: Any) -> None:
        value = getattr(self, name)
        if not holds(value):
            raise DecodingError(f"--gin.Decoding.{name}={value!r} should be {wanted}")


def random_bits(seed: int, request_id: str) -> tuple[int, int]:
    """The key that the draws of one request start from, as two 32-bit words: a hash of the seed and the id."""
    digest = hashlib.blake2b(f"{seed}/{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def _whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least
