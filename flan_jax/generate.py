"""A checkpoint with its vocabulary, to ask: for a continuation, or how probable given ones are."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flan_jax.data.vocabulary import Vocabulary
from flan_jax.decoding.engine import Ask, Engine
from flan_jax.decoding.settings import Decoding, random_bits
from flan_jax.evaluation.generation import Generated, generate
from flan_jax.evaluation.ranking import score_options
from flan_jax.evaluation.requests import Request, RequestError, fit
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apart
from flan_jax.training.run_vocabulary import load_to_ask


class Option(NamedTuple):
    """A given answer, its log-probability in nats, and its share of the probability of all that were given."""

    text: str
    score: float
    probability: float


@dataclasses.dataclass
class Answerer:
    """A loaded model with the vocabulary it reads."""

    model: DecoderConfig
    params: Params
    vocabulary: Vocabulary
    _engine: Engine | None = None

    @classmethod
    def load(cls, model_dir: str, step: int | None = None) -> "Answerer":
        """The newest checkpoint of a run, or that of `step`.  Raises CheckpointError or VocabularyError."""
        model, params, vocabulary, _ = load_to_ask(model_dir, step)
        return cls(model, params, vocabulary)

    def generate(self, prompts: Sequence[str], max_tokens: int, decoding: Decoding | None = None) -> list[Generated]:
        """A continuation of each, without white space at its ends.  A draw depends on the seed and the prompt's place.

        Raises RequestError for an empty prompt, or where the model's window has no room for `max_tokens`.
        """
        requests = [self._request(prompt, (), max_tokens, str(place)) for place, prompt in enumerate(prompts)]
        vocabulary = self.vocabulary
        answers = generate(self.model, self.params, requests, vocabulary.eos_id, vocabulary.decode, decoding)
        return [answer._replace(text=answer.text.strip()) for answer in answers]

    def stream(self, prompt: str, max_tokens: int, decoding: Decoding, place: str = "0") -> Iterator[str]:
        """The continuation that `generate` gives (beam search, which cannot be shown as it goes, aside), in parts."""
        if self._engine is None:
            self.params = apart(self.model, self.params)
            self._engine = Engine(
                self.model, self.params, self.vocabulary.eos_id, self.vocabulary.decode, rows=1,
                length=self.model.max_length, chunk=1,
            )  # fmt: skip
        request = self._request(prompt, (), max_tokens, place)
        temperature = decoding.temperature if decoding.method == "sample" else 0.0
        bits = random_bits(decoding.seed, request.id)
        answer = self._engine.submit(Ask(request.context, max_tokens, temperature, decoding.top_p, bits, decoding.stop))
        shown = 0
        try:
            while not answer.finish:
                self._engine.step()
                text = (answer.text.whole.rstrip() if answer.finish else answer.text.sure).lstrip()
                if answer.finish or text == text.rstrip():  # white space at the end is not part of an answer
                    yield text[shown:]
                    shown = max(shown, len(text))
        finally:
            self._engine.cancel(answer)

    def rank(self, prompt: str, options: Sequence[str]) -> list[Option]:
        """The options, best first; they get the separating space in front."""
        texts = tuple(f" {option.strip()}" for option in options)
        (scores,) = score_options(self.model, self.params, [self._request(prompt, texts, 0, "0")])
        shares = np.exp(scores - np.logaddexp.reduce(scores))
        ranked = [
            Option(option.strip(), score, share)
            for option, score, share in zip(options, scores.tolist(), shares.tolist(), strict=True)
        ]
        return sorted(ranked, key=lambda option: -option.score)

    def _request(self, prompt: str, options: tuple[str, ...], max_new_tokens: int, place: str) -> Request:
        prompt = prompt.rstrip()
        if not prompt or any(not option.strip() for option in options):
            raise RequestError("the prompt and every option need some text")
        start = [] if self.vocabulary.bos_id is None else [self.vocabulary.bos_id]
        if max_new_tokens + len(start) >= self.model.max_length:
            raise RequestError(
                f"--max_tokens={max_new_tokens} leaves no room for a prompt in the {self.model.max_length} tokens that "
                "the model takes"
            )
        (context,) = self.vocabulary.encode([self.vocabulary.opening(prompt)])  # as the token layer does
        encoded = tuple(np.asarray(tokens, np.int32) for tokens in self.vocabulary.encode(options))
        request = Request(
            task="prompt", cluster="", split="", example_id=place, template=0,
            context=np.asarray([*start, *context], np.int32), options=encoded, option_texts=options, answer=0,
            references=("",), inputs=prompt, max_new_tokens=max_new_tokens,
        )  # fmt: skip
        fitted = fit(request, self.model.max_length, len(start))
        if fitted.truncated:
            print(
                f"{fitted.truncated} of {len(request.context)} tokens are cut from the beginning of the prompt "
                f"{prompt[:40]!r}...: with the answer it is longer than the {self.model.max_length} that the model "
                "takes",
                file=sys.stderr,
            )
        return fitted
