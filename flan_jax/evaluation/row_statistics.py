"""What result rows add to a metric: the columns it reads, and the fields of the store some metrics read beside them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.evaluation.metrics import Metric, Statistics, get_metrics

QUESTION = "question_id"
"""The field that tells which rows belong to one question; they are one document, drawn together."""


def needed_fields(metrics: Iterable[str]) -> tuple[str, ...]:
    """The fields of the store that the metrics of these names read."""
    return tuple(dict.fromkeys(metric.field for metric in get_metrics(tuple(metrics)) if metric.field))


def row_statistics(metric: Metric, column: Callable[[str], Sequence[Any]], chosen: str = "chosen") -> Statistics:
    """The metric's statistics of every row.  column(name) gives a column of `results.SCHEMA`; `chosen` names the one
    that an "options" metric reads."""
    if metric.needs == "options":
        arguments: tuple[Any, ...] = (np.asarray(column(chosen), np.int64), np.asarray(column("answer"), np.int64))
    else:
        arguments = (column("prediction"), column("references"))
    if not metric.field:
        return metric.statistics(*arguments)
    fields = [json.loads(one)[metric.field] for one in column("fields")]
    templates = np.asarray(column("template"))
    parts = []
    places = []
    for template in np.unique(templates):
        own = np.flatnonzero(templates == template)
        taken = [one[own] if isinstance(one, np.ndarray) else [one[i] for i in own] for one in (*arguments, fields)]
        parts.append(metric.statistics(*taken))
        places.append(own)
    return np.concatenate(parts)[np.argsort(np.concatenate(places))]


def documents(example_ids: Sequence[str], fields: Sequence[str | None]) -> Mapping[str, str] | None:
    """The question of every example, where rows tell it; None where every example is a question of its own."""
    told = {
        example: json.loads(one)[QUESTION]
        for example, one in zip(example_ids, fields, strict=True)
        if one is not None and QUESTION in json.loads(one)
    }
    return {example: told.get(example, example) for example in example_ids} if told else None
