"""A checkpoint as a model of lm-evaluation-harness 0.4.13: contexts shared, rows packed, shot blocks read once."""

import io
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from flan_jax.data.vocabulary import Vocabulary
from flan_jax.decoding.settings import Decoding
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.generation import generate
from flan_jax.evaluation.ranking import score_questions
from flan_jax.evaluation.requests import Request
from flan_jax.evaluation.text_requests import Cut, Pair, encode_pairs, encode_texts, fit_pairs, share_contexts
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params
from flan_jax.progress import Progress
from flan_jax.training.run_vocabulary import load_to_ask

logger = logging.getLogger(__name__)

LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What tasks call the most tokens to generate, in the harness's order."""

FOLLOWED = ("until", "do_sample", "temperature", "top_p", *LENGTHS)
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,), "num_return_sequences": (1,), "early_stopping": (False,), "length_penalty": (1,),
    "top_k": (0, -1), "min_p": (0,), "typical_p": (1,), "repetition_penalty": (1,), "no_repeat_ngram_size": (0,),
    "presence_penalty": (0,), "frequency_penalty": (0,), "min_length": (0,), "min_new_tokens": (0,), "min_tokens": (0,),
    "use_cache": (True,),
}  # fmt: skip
"""Settings that nothing here follows, with the values by which transformers or vLLM do nothing; None is one of each."""

Answer = tuple[float, bool]
"""Log-probability in nats, and whether greedy generation says it."""


class HarnessError(FlanJaxError, ValueError):
    """A setting of the harness or a task that cannot be followed here."""


@register_model("flan_jax")
class FlanJaxLM(LM):
    """A checkpoint of a run.

    checkpoint, step: as for `flan-jax evaluate`.
    cut: where tokens span a context and its continuation; "harness" scores what the harness's own models score,
      "common_prefix" what `text_requests.py` calls so.  The first also cuts a text too long for the window option by
      option and with its BOS, as they do, the second question by question and keeping it.
    tokens_per_batch, row_width: as for `ranking.score_questions`.   max_gen_toks: where a task does not say.
    `batch_size`, `max_batch_size` and `device`, which the harness hands to every model, decide nothing: rows are filled
    with tokens, and JAX's first device is used.
    """

    def __init__(
        self, checkpoint: str, step: int | None = None, cut: str = "harness", tokens_per_batch: int = 4096,
        row_width: int = 256, max_gen_toks: int = 256, batch_size: Any = None, max_batch_size: Any = None,
        device: Any = None,
    ) -> None:  # fmt: skip
        model, params, vocabulary, _ = load_to_ask(checkpoint, step)
        self._hold(model, params, vocabulary, cut, tokens_per_batch, row_width, max_gen_toks)

    @classmethod
    def of(
        cls, model: DecoderConfig, params: Params, vocabulary: Vocabulary, *, cut: str = "harness",
        tokens_per_batch: int = 4096, row_width: int = 256, max_gen_toks: int = 256,
    ) -> "FlanJaxLM":  # fmt: skip
        """The same from what is in memory."""
        made = cls.__new__(cls)
        made._hold(model, params, vocabulary, cut, tokens_per_batch, row_width, max_gen_toks)
        return made

    def _hold(
        self, model: DecoderConfig, params: Params, vocabulary: Vocabulary, cut: str, tokens_per_batch: int,
        row_width: int, max_gen_toks: int,
    ) -> None:  # fmt: skip
        super().__init__()
        if cut not in get_args(Cut):
            raise HarnessError(f"--model_args cut={cut!r} should be one of {', '.join(get_args(Cut))}")
        if vocabulary.size > model.vocab_size:
            raise HarnessError(f"the vocabulary has {vocabulary.size} tokens and the model {model.vocab_size}")
        self.model, self.params, self.vocabulary = model, params, vocabulary
        self.cut: Cut = "harness" if cut == "harness" else "common_prefix"
        self.tokens_per_batch, self.row_width, self.max_gen_toks = tokens_per_batch, row_width, max_gen_toks

    @property
    def tokenizer_name(self) -> str:
        return f"{self.vocabulary.kind}-{self.vocabulary.digest[:16]}"

    @property
    def _start(self) -> list[int]:
        return [] if self.vocabulary.bos_id is None else [self.vocabulary.bos_id]

    @property
    def _keep(self) -> int:
        """Tokens at the start of a context that are not cut off it."""
        return 0 if self.cut == "harness" else len(self._start)

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[Answer]:
        asked = [(str(context), str(continuation)) for context, continuation in _arguments(requests)]
        pairs, counts = encode_pairs(self.vocabulary, asked, self.cut)
        by_context = None if self.cut == "harness" else [context for context, _ in asked]
        pairs, counts["truncated"] = fit_pairs(pairs, self.model.max_length, self._keep, by_context)
        for name in ("boundary_differs", "truncated"):
            if counts[name]:
                logger.warning("%s of %s requests: %s", counts[name], len(requests), MEANING[name])
        answers = self._answers(pairs, disable_tqdm)
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        start = self._start or [self.vocabulary.eos_id]
        windows: list[Pair] = []
        owner: list[int] = []
        texts = [request.args[0] for request in requests]
        encoded = encode_texts(self.vocabulary, texts, self.cut)
        for number, tokens in enumerate(encoded):
            rolling = get_rolling_token_windows([*self._start, *tokens], start[0], self.model.max_length, 1)
            for context, continuation in map(make_disjoint_window, rolling):
                windows.append(Pair(np.asarray(context, np.int32), np.asarray(continuation, np.int32)))
                owner.append(number)
        sums = np.zeros(len(requests))
        np.add.at(sums, owner, [nats for nats, _ in self._answers(windows, disable_tqdm)])
        for request, total in zip(requests, sums.tolist(), strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return sums.tolist()

    def _answers(self, pairs: Sequence[Pair], quiet: bool) -> list[Answer]:
        shared = share_contexts(pairs)
        with Progress(len(shared.questions), "questions", "lm-eval", stream=_stream(quiet)) as progress:
            scores = score_questions(
                self.model, self.params, shared.questions, narrowest=self.row_width,
                tokens_per_batch=self.tokens_per_batch, advance=progress.update,
            )  # fmt: skip
        places = zip(shared.question, shared.option, strict=True)
        return [(float(scores[q].nats[o]), bool(scores[q].greedy[o])) for q, o in places]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        contexts = encode_texts(self.vocabulary, [request.args[0] for request in requests], self.cut)
        asked: dict[str, tuple[Decoding, list[int]]] = {}
        prompts = []
        truncated = 0
        for number, ((_, settings), context) in enumerate(zip(_arguments(requests), contexts, strict=True)):
            decoding, new_tokens = self._generation(settings)
            room = self.model.max_length - new_tokens
            if room <= self._keep:
                raise HarnessError(
                    f"{new_tokens} tokens to generate leave no room for a prompt in a window of "
                    f"{self.model.max_length}; set --gen_kwargs max_gen_toks to less"
                )
            whole = [*self._start, *context] or [self.vocabulary.eos_id]
            kept = whole[: self._keep] + whole[self._keep :][-(room - self._keep) :]
            truncated += len(kept) < len(whole)
            prompts.append(_prompt(number, kept, new_tokens))
            asked.setdefault(repr(decoding), (decoding, []))[1].append(number)
        if truncated:
            logger.warning("%s of %s requests: %s", truncated, len(requests), MEANING["truncated"])
        texts = [""] * len(prompts)
        with Progress(len(prompts), "answers", "lm-eval", stream=_stream(disable_tqdm)) as progress:
            for decoding, numbers in asked.values():
                said = generate(
                    self.model, self.params, [prompts[number] for number in numbers], self.vocabulary.eos_id,
                    self._decode, decoding, tokens_per_batch=self.tokens_per_batch, advance=progress.update,
                )  # fmt: skip
                for number, one in zip(numbers, said, strict=True):
                    texts[number] = one.text
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def _decode(self, tokens: Sequence[int]) -> str:
        """As transformers does: without the space that a dummy prefix put in front."""
        return self.vocabulary.decode(tokens).removeprefix(self.vocabulary.leading)

    def _generation(self, settings: Mapping[str, Any]) -> tuple[Decoding, int]:
        """How to generate, and the most tokens.  Raises HarnessError or DecodingError for what cannot be followed."""
        for name, value in settings.items():
            if name in FOLLOWED or value is None or value in NEUTRAL.get(name, ()):
                continue
            raise HarnessError(
                f"{name}={value!r}, of a task or --gen_kwargs, is not followed here; leave it out"
                + (f" or set it to {NEUTRAL[name][0]}" if name in NEUTRAL else f" (known: {', '.join(FOLLOWED)})")
            )
        until = settings.get("until") or []
        stop = [until] if isinstance(until, str) else until
        temperature = float(settings.get("temperature") or 0.0)
        sampled = bool(settings.get("do_sample", temperature > 0)) and temperature > 0
        drawn: dict[str, Any] = (
            {"method": "sample", "temperature": temperature, "top_p": float(settings.get("top_p", 1.0))}
            if sampled
            else {}
        )
        longest = next((settings[name] for name in LENGTHS if settings.get(name) is not None), self.max_gen_toks)
        return Decoding(stop=tuple(filter(None, stop)), **drawn), int(longest)


MEANING = {
    "boundary_differs": "a token spans the end of the context (see --model_args cut)",
    "truncated": "too long for the model's window, and cut on the left",
}


def _arguments(requests: Sequence[Instance]) -> list[tuple[Any, ...]]:
    """What each asks: a context with its continuation, or with how to generate."""
    return [tuple(request.args) for request in requests]


def _stream(quiet: bool) -> Any:
    return io.StringIO() if quiet else sys.stderr


def _prompt(number: int, context: Sequence[int], new_tokens: int) -> Request:
    return Request(
        task="lm-eval", cluster="", split="", example_id=str(number), template=0,
        context=np.asarray(context, np.int32), options=(), option_texts=(), answer=-1, references=(), inputs="",
        max_new_tokens=new_tokens,
    )  # fmt: skip
