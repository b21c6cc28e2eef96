"""`flan-jax generate`: ask a checkpoint one question, by generating an answer or by scoring given ones."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from flan_jax.data.vocabulary import Vocabulary, load_vocabulary
from flan_jax.evaluation.generation import generate
from flan_jax.evaluation.ranking import score_options
from flan_jax.evaluation.requests import Request, RequestError, fit
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params
from flan_jax.training.checkpoints import load_params, run_and_step


@dataclasses.dataclass(frozen=True)
class Answerer:
    """A loaded model with the vocabulary it reads."""

    model: DecoderConfig
    params: Params
    vocabulary: Vocabulary

    @classmethod
    def load(cls, model_dir: str, step: int | None = None) -> "Answerer":
        """The newest checkpoint of a run, or that of `step`.  Raises CheckpointError."""
        model, params, _ = load_params(model_dir, step)
        return cls(model, params, load_vocabulary(str(run_and_step(model_dir)[0] / "vocabulary")))

    def generate(self, prompt: str, max_tokens: int) -> str:
        """The greedy continuation, up to the end of the answer.  Raises RequestError for an empty prompt."""
        request = self._request(prompt, (), max_tokens)
        (tokens,) = generate(self.model, self.params, [request], self.vocabulary.eos_id)
        return self.vocabulary.decode(tokens).strip()

    def rank(self, prompt: str, options: Sequence[str]) -> list[tuple[str, float]]:
        """The options with their log-probabilities in nats, best first; options get the separating space in front."""
        texts = tuple(f" {option.strip()}" for option in options)
        (scores,) = score_options(self.model, self.params, [self._request(prompt, texts, 0)])
        ranked = sorted(zip(options, scores.tolist(), strict=True), key=lambda pair: -pair[1])
        return [(option.strip(), score) for option, score in ranked]

    def _request(self, prompt: str, options: tuple[str, ...], max_new_tokens: int) -> Request:
        prompt = prompt.rstrip()
        if not prompt or any(not option.strip() for option in options):
            raise RequestError("the prompt and every option need some text")
        start = [] if self.vocabulary.bos_id is None else [self.vocabulary.bos_id]
        (context,) = self.vocabulary.encode([self.vocabulary.leading + prompt])  # as the token layer does
        encoded = tuple(np.asarray(tokens, np.int32) for tokens in self.vocabulary.encode(options))
        request = Request(
            task="prompt", cluster="", split="", example_id="0", template=0,
            context=np.asarray([*start, *context], np.int32), options=encoded, option_texts=options, answer=0,
            references=("",), inputs=prompt, max_new_tokens=max_new_tokens,
        )  # fmt: skip
        return fit(request, self.model.max_length)
