"""What a model is asked: a request is one question under one template.

A request is made of token rows of the store, never by tokenising again, and carries a global id; which host asks it,
in what order and beside which others changes nothing.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from flan_jax.data.choosing import example_hash
from flan_jax.data.exemplars import FewShot, special_tokens
from flan_jax.data.store import Store
from flan_jax.data.task import Task
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.few_shot import Exemplars, ShotsOf, show_exemplars
from flan_jax.evaluation.row_statistics import needed_fields

Tokens = Int[np.ndarray, " _"]


class RequestError(FlanJaxError, ValueError):
    """A row that cannot be asked or scored: an empty option, no right answer, no reference, no room in the window."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One question.  With options it is ranked, without them the model generates up to `max_new_tokens`.

    `context` ends where the answer starts and opens with BOS if the vocabulary has one; every option of `options` is
    its tokens, EOS included only when that is scored.  `truncated` counts context tokens cut from the left.  `fields`
    are those of the row's fields that the task's metrics read, with their values.
    """

    task: str
    cluster: str
    split: str
    example_id: str
    template: int
    context: Tokens
    options: tuple[Tokens, ...]
    option_texts: tuple[str, ...]
    answer: int
    references: tuple[str, ...]
    inputs: str
    max_new_tokens: int = 0
    truncated: int = 0
    boundary_differs: bool = False
    exemplars: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """task/split/example/template, and the exemplars if any: unique over all hosts and runs of an evaluation."""
        shots = "/" + ",".join(self.exemplars) if self.exemplars else ""
        return f"{self.task}/{self.split}/{self.example_id}/{self.template}{shots}"

    @property
    def length(self) -> int:
        """Positions that the model is asked at: the context and the longest option, or what may be generated."""
        return len(self.context) + _reserve(self)

    @property
    def place(self) -> str:
        """Where the row is, for messages."""
        return f"{self.task}/{self.split}, example {self.example_id!r}, template {self.template}"


def fit(request: Request, window: int, keep: int = 0) -> Request:
    """The request with its context cut on the left to fit `window` tokens; the first `keep` (the BOS) stay.

    The question is cut as a whole: all options see the same context.  Raises RequestError if not one token of it
    would be left beside the longest option or the tokens to generate.
    """
    reserve = _reserve(request)
    room = window - reserve
    if len(request.context) <= room:
        return request
    if room <= keep:
        remedy = (
            "a model trained with a larger DecoderConfig.max_length"
            if request.options
            else "a smaller max_new_tokens (of evaluate, in a sweep of Scoring)"
        )
        raise RequestError(
            f"{request.place}: {reserve} tokens of answer leave no room for a question in a window of {window} tokens; "
            f"use {remedy}"
        )
    cut = len(request.context) - room
    context = np.concatenate([request.context[:keep], request.context[keep + cut :]])
    return dataclasses.replace(request, context=context, truncated=cut)


def _reserve(request: Request) -> int:
    """Tokens of the window that the answer takes; the last of an option is only predicted."""
    return max((len(option) - 1 for option in request.options), default=request.max_new_tokens)


def choose_examples(ids: Sequence[str], count: int | None, task: str) -> frozenset[str]:
    """`count` of the examples (None: all), by the hash of their ids that `prepare` caps splits by.

    So fewer are a part of more, and the choice depends neither on order nor on a seed.
    """
    return frozenset(sorted(set(ids), key=lambda one: (example_hash(task, one), one))[:count])


def build_requests(
    store: Store, vocabulary: Vocabulary, task: Task, split: str, *, window: int,
    examples: int | None = None, score_eos: bool = False, max_new_tokens: int = 64,
    shots: int = 0, few_shot: FewShot | None = None, seed: int = 0, shots_of: ShotsOf = "question",
) -> tuple[list[Request], Counter[str]]:  # fmt: skip
    """The requests of one prepared task and split: every chosen example under every forward template.

    window: the most tokens the model takes.  examples: at most so many, chosen by id.
    score_eos: whether the end-of-sequence token after an option counts towards its score.  T0 and seqio count it (it
    works as a penalty on length); lm-evaluation-harness and this project's default do not.
    shots: exemplars in front of each question, fewer where `few_shot.budget` or the window have no room for them; the
    question itself is cut only if it is too long alone.  seed: of their draw.  shots_of: whether every question has its
    own, or all of a template the same.
    Also returns counts: of questions `truncated`, with `duplicate_options`, where an `option_is_the_question`, with
    `boundary_differs` (tokenised apart otherwise than together), and `scored_against_target` (generation rows without
    references of their own); with shots those of `few_shot.show_exemplars`.
    Raises RequestError naming the row for an empty option, an answer that is no option, or nothing to score against.
    """
    few_shot = few_shot or FewShot()
    special = special_tokens(vocabulary, few_shot, shots > 0)
    text = store.open_text(task.name, split)
    table = store.open_tokens(vocabulary.digest, task.name, split)
    forward = {template.index for template in task.templates if template.forward}
    example_ids = text["example_id"].to_pylist()
    chosen = choose_examples(example_ids, examples, task.name)
    rows = [i for i, one in enumerate(example_ids) if one in chosen and int(table.template[i]) in forward]
    if not rows:
        raise RequestError(
            f"{task.name}/{split}: the store has no row under a template that can be evaluated "
            f"({len(example_ids)} rows, templates {sorted(forward)}); prepare the split again"
        )
    columns = {name: text[name].to_pylist() for name in ("inputs", "targets", "options", "references")}
    wanted = needed_fields(task.metrics)
    fields = text["fields"].to_pylist() if wanted else ()
    start = [] if vocabulary.bos_id is None else [vocabulary.bos_id]
    end = [vocabulary.eos_id] if score_eos else []
    requests: list[Request] = []
    counts: Counter[str] = Counter()
    for row in rows:
        texts = tuple(columns["options"][row] or ())
        references = tuple(columns["references"][row] or ())
        target = columns["targets"][row].strip()
        if not references:
            counts["scored_against_target"] += not texts
            references = (target,)
        request = Request(
            task=task.name, cluster=task.cluster, split=split, example_id=example_ids[row],
            template=int(table.template[row]), context=_joined(start, table.inputs(row), special.answer),
            options=tuple(_joined(option, end) for option in (table.options(row) if texts else ())),
            option_texts=texts, answer=int(table.answer[row]), references=references, inputs=columns["inputs"][row],
            max_new_tokens=0 if texts else max_new_tokens, boundary_differs=bool(table.boundary_differs[row]),
        )  # fmt: skip
        if wanted:
            request = dataclasses.replace(request, fields=_fields(request, fields[row], wanted))
        _check(request, len(end))
        counts["boundary_differs"] += request.boundary_differs
        counts["duplicate_options"] += len({one.strip() for one in texts}) < len(texts)
        counts["option_is_the_question"] += request.inputs.strip() in {one.strip() for one in texts}
        requests.append(request)
    if shots:
        room = np.array([window - _reserve(request) - len(request.context) for request in requests])
        shown, counted = show_exemplars(
            store, vocabulary, task, table, np.array(rows), room, shots, few_shot, special, seed, shots_of
        )
        requests = [_behind(request, exemplars, len(start)) for request, exemplars in zip(requests, shown, strict=True)]
        counts += counted
    requests = [fit(request, window, len(start)) for request in requests]
    counts["truncated"] = sum(request.truncated > 0 for request in requests)
    return requests, +counts


def _behind(request: Request, exemplars: Exemplars, keep: int) -> Request:
    """The request with its context behind the exemplars; the first `keep` tokens (the BOS) stay first."""
    context = _joined(request.context[:keep], exemplars.tokens, request.context[keep:])
    return dataclasses.replace(request, context=context, exemplars=exemplars.ids)


def _fields(request: Request, row: str, wanted: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The values of these fields in a row's JSON.  Raises RequestError where one is not there."""
    there = json.loads(row)
    if missing := [name for name in wanted if name not in there]:
        raise RequestError(
            f"{request.place}: a metric of the task reads the field {missing[0]!r}, and the row has "
            f"{', '.join(there) or 'none'}; give it in the dataset's fields and run flan-jax prepare, or leave the "
            "metric out of its metrics"
        )
    return tuple((name, there[name]) for name in wanted)


def _joined(*parts: Sequence[int] | Tokens) -> Tokens:
    return np.concatenate([np.asarray(part, np.int32) for part in parts])


def _check(request: Request, end: int) -> None:
    """Raises RequestError for what could only be scored wrongly."""
    if not len(request.context):
        raise RequestError(
            f"{request.place}: the input is empty and the vocabulary has no BOS, so nothing precedes the answer"
        )
    for index, (option, text) in enumerate(zip(request.options, request.option_texts, strict=True)):
        if len(option) == end or not text.strip():
            raise RequestError(f"{request.place}: option {index} of {list(request.option_texts)} is empty")
    if request.options and not 0 <= request.answer < len(request.options):
        raise RequestError(
            f"{request.place}: answer {request.answer} is none of the {len(request.options)} options "
            f"{list(request.option_texts)}"
        )
    if not any(reference.strip() for reference in request.references):
        raise RequestError(f"{request.place}: there is no reference and no target to score a generated answer against")
