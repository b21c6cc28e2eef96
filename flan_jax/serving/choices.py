"""What one choice of a completion says so far, as OpenAI's objects."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from flan_jax.serving.worker import Progress

FINISHES = {"eos": "stop", "stop": "stop", "length": "length", "cancelled": "stop"}


@dataclasses.dataclass
class Choice:
    """One choice, as it grows.  `piece(before, token)` is the text that a token adds after another."""

    index: int
    prompt: Sequence[int]
    prompt_text: str
    echo: bool
    logprobs: int | None
    piece: Callable[[int | None, int], str]
    progress: Progress | None = None
    told_characters: int = 0
    told_tokens: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        self.end = 0 if self.echo else len(self.prompt_text)  # offsets are in the prompt with its continuation

    @property
    def finished(self) -> bool:
        return self.progress is not None and self.progress.finish is not None

    @property
    def count(self) -> int:
        """Tokens generated so far."""
        return 0 if self.progress is None else self.progress.count

    def grow(self, progress: Progress) -> dict[str, Any] | None:
        """What is new since the last call, as a choice of a response; None where nothing is."""
        first = self.progress is None
        self.progress = progress
        new = progress.text[self.told_characters :]
        self.told_characters = len(progress.text)
        lead = self.prompt_text if self.echo and first else ""
        if not (new or lead or self.finished):
            return None
        logprobs = None if self.logprobs is None else self._logprobs(first)
        finish = FINISHES[progress.finish] if progress.finish else None
        return {"index": self.index, "text": lead + new, "logprobs": logprobs, "finish_reason": finish}

    def _logprobs(self, first: bool) -> dict[str, list[Any]]:
        """Of the tokens whose text begins in what has been told; of the prompt's too, where it is echoed."""
        assert self.progress is not None
        told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        if first and self.echo:
            scores = self.progress.prompt
            for i, token in enumerate(self.prompt):
                before = self.prompt[i - 1] if i else None
                of = None if i == 0 or scores is None else (
                    float(scores.scores[i - 1]), scores.top_tokens[i - 1].tolist(), scores.top_scores[i - 1].tolist()
                )  # fmt: skip
                self._tell(told, before, token, of)
        answer = self.progress.answer
        told_to = len(self.prompt_text) + len(self.progress.text)
        while answer is not None and self.told_tokens < self.progress.count:
            if self.end >= told_to and not (self.finished and self.progress.finish != "stop"):
                break
            i = self.told_tokens
            before = answer.tokens[i - 1] if i else self.prompt[-1]
            self._tell(told, before, answer.tokens[i], (answer.scores[i], answer.top_tokens[i], answer.top_scores[i]))
            self.told_tokens += 1
        return told

    def _tell(
        self, told: dict[str, list[Any]], before: int | None, token: int,
        of: tuple[float, list[int], list[float]] | None,
    ) -> None:  # fmt: skip
        text = self.piece(before, token)
        told["tokens"].append(text)
        told["text_offset"].append(self.end)
        self.end += len(text)
        if of is None:  # nothing precedes the first token of a prompt
            told["token_logprobs"].append(None)
            told["top_logprobs"].append(None)
            return
        score, tokens, scores = of
        tops: dict[str, float] = {}
        for one, its in list(zip(tokens, scores, strict=True))[: self.logprobs]:
            tops.setdefault(self.piece(before, one), its)
        tops.setdefault(text, score)  # as OpenAI has it: the token said is always among them
        told["token_logprobs"].append(score)
        told["top_logprobs"].append(tops)
