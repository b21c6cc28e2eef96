"""Metrics by name.  Every metric is a sum over examples followed by a formula.

A metric turns each row into a few numbers (its statistics), and the statistics' sum into a score in points of 100.
Whatever is bootstrapped, grouped or compared is then a weighted sum and the formula, for corpus metrics such as BLEU
and macro F1 as much as for means; nothing needs the model or the texts again.
"""

import dataclasses
import difflib
import functools
import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from flan_jax.errors import FlanJaxError
from flan_jax.evaluation import text_metrics

Statistics = Float[np.ndarray, "N K"]


class MetricError(FlanJaxError, ValueError):
    """A metric that does not exist, or that cannot score what a task produces."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A named metric.

    `needs` says what `statistics` takes: "options" -> (chosen option [N], right option [N]) as integer arrays,
    "text" -> (N predictions, N lists of references).  `score` maps sums of statistics [..., K] to points of 100 [...].
    `per_row` is true where a row alone has a score and the metric is the mean of them.  `detail` states the variant.
    """

    name: str
    needs: Literal["options", "text"]
    statistics: Callable[[Any, Any], Statistics]
    score: Callable[[Float[np.ndarray, "... K"]], Float[np.ndarray, "..."]]
    per_row: bool = True
    detail: str = ""


def _mean(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    """100 × the first statistic over the last, the number of rows."""
    return np.asarray(100.0 * sums[..., 0] / sums[..., -1])


def _per_row(function: Callable[[str, Sequence[str]], float]) -> Callable[[Any, Any], Statistics]:
    """Statistics of a mean over texts: [value, 1] a row."""

    def statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
        values = [function(p, r) for p, r in zip(predictions, references, strict=True)]
        return np.stack([np.array(values, np.float64), np.ones(len(values))], axis=-1)

    return statistics


def _accuracy(chosen: Int[np.ndarray, " N"], right: Int[np.ndarray, " N"]) -> Statistics:
    return np.stack([chosen == right, np.ones(len(chosen))], axis=-1).astype(np.float64)


def _f1(true: np.ndarray, wrongly_chosen: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """F1 in 0..1; 0 where the class occurs neither in predictions nor in answers."""
    total = 2 * true + wrongly_chosen + missed
    return np.divide(2 * true, total, out=np.zeros_like(total, np.float64), where=total > 0)


def _binary_counts(chosen: Int[np.ndarray, " N"], right: Int[np.ndarray, " N"]) -> Statistics:
    return np.stack([(chosen == 1) & (right == 1), (chosen == 1) & (right != 1), (chosen != 1) & (right == 1)],
                    axis=-1).astype(np.float64)  # fmt: skip


def _correlation(covariance: np.ndarray | np.floating, variances: np.ndarray | np.floating) -> np.ndarray:
    """100 × covariance / sqrt(product of the variances); 0 where one of the two does not vary."""
    varies = variances > 1e-9
    return np.asarray(100.0 * np.where(varies, covariance, 0.0) / np.sqrt(np.where(varies, variances, 1.0)))


def _mcc_counts(chosen: Int[np.ndarray, " N"], right: Int[np.ndarray, " N"]) -> Statistics:
    return np.concatenate([_binary_counts(chosen, right), ((chosen != 1) & (right != 1))[:, None]], axis=-1)


def _mcc(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    """Matthews correlation of two classes; 0 where a class is never chosen or never right, as in scikit-learn."""
    true, wrongly_chosen, missed, rest = np.moveaxis(sums, -1, 0)
    product = (true + wrongly_chosen) * (true + missed) * (rest + wrongly_chosen) * (rest + missed)
    covariance = true * rest - wrongly_chosen * missed
    return _correlation(covariance, product)


def _class_counts(chosen: Int[np.ndarray, " N"], right: Int[np.ndarray, " N"]) -> Statistics:
    classes = np.arange(max(chosen.max(initial=0), right.max(initial=0)) + 1)
    c, r = chosen[:, None] == classes, right[:, None] == classes
    return np.stack([c & r, c & ~r, ~c & r], axis=-1).reshape(len(chosen), -1).astype(np.float64)


def _macro_f1(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    occurs = counts.sum(-1) > 0
    f1 = _f1(counts[..., 0], counts[..., 1], counts[..., 2])
    return np.asarray(100.0 * (f1 * occurs).sum(-1) / np.maximum(occurs.sum(-1), 1))


def _bleu_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
    counts = [text_metrics.bleu_counts(p, r) for p, r in zip(predictions, references, strict=True)]
    return np.array(counts, np.float64).reshape(len(counts), 10)


def _bleu(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    """Corpus BLEU of summed counts with sacrebleu's "exp" smoothing: the k-th empty precision is 1 / (2^k total)."""
    matches, totals, length, reference = sums[..., :4], sums[..., 4:8], sums[..., 8], sums[..., 9]
    empty = (matches == 0) & (totals > 0)
    smoothed = np.where(empty, 0.5 ** np.cumsum(empty, axis=-1), matches)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(smoothed / totals)
        brevity = np.where(length < reference, 1.0 - reference / length, 0.0)
        bleu = 100.0 * np.exp(np.mean(logs, axis=-1) + brevity)
    return np.where((totals > 0).all(-1) & (matches > 0).any(-1), bleu, 0.0)


def _numbers(texts: Sequence[str]) -> Float[np.ndarray, " N"]:
    """The texts as numbers, -1 for what is none (as in T5: outside of the scale, so never better than a number)."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return -1.0

    return np.array([number(text) for text in texts], np.float64)


def _moments(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
    x, y = _numbers(predictions), _numbers([first for first, *_ in references])
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _pearson(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    variances = np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0)
    covariance = n * xy - x * y
    return _correlation(covariance, variances)


def _joint_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
    """[number of predicted levels, 1, one column for each pair of a predicted and a true level, in ascending order]."""
    levels, x = np.unique(_numbers(predictions), return_inverse=True)
    true_levels, y = np.unique(_numbers([first for first, *_ in references]), return_inverse=True)
    counts = np.zeros((len(x), 2 + len(levels) * len(true_levels)))
    counts[:, :2] = len(levels), 1
    counts[np.arange(len(x)), 2 + x * len(true_levels) + y] = 1
    return counts


def _spearman(sums: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
    """Pearson's correlation of the ranks, equal values sharing their mean rank.  Ranks follow from counts of levels."""
    levels = round(float((sums[..., 0] / sums[..., 1]).flat[0]))
    joint = sums[..., 2:].reshape(*sums.shape[:-1], levels, -1)

    def ranks(counts: np.ndarray) -> np.ndarray:
        return np.cumsum(counts, axis=-1) - (counts - 1) / 2

    x, y = joint.sum(-1), joint.sum(-2)
    rank_x, rank_y, n = ranks(x), ranks(y), x.sum(-1)
    moments = [
        n, (x * rank_x).sum(-1), (y * rank_y).sum(-1), (x * rank_x**2).sum(-1), (y * rank_y**2).sum(-1),
        np.einsum("...pr,...p,...r->...", joint, rank_x, rank_y),
    ]  # fmt: skip
    return _pearson(np.stack(moments, axis=-1))


def _squad(function: Callable[..., float]) -> Callable[[str, Sequence[str]], float]:
    return functools.partial(function, text_metrics.normalize_squad)


def _trivia(function: Callable[..., float]) -> Callable[[str, Sequence[str]], float]:
    return functools.partial(function, text_metrics.normalize_trivia_qa)


def _text(name: str, function: Callable[[str, Sequence[str]], float], detail: str) -> Metric:
    return Metric(name, "text", _per_row(function), _mean, detail=detail)


_SQUAD = "official SQuAD normalisation, maximum over references"
_TRIVIA = "official TriviaQA normalisation, maximum over references"
_ROUGE = "rouge-score F-measure, no stemmer, maximum over references, mean over examples"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "options", _accuracy, _mean, detail="first of tied options"),
        Metric("f1", "options", _binary_counts, lambda s: 100.0 * _f1(s[..., 0], s[..., 1], s[..., 2]), per_row=False,
               detail="option 1 is the positive class"),
        Metric("macro_f1", "options", _class_counts, _macro_f1, per_row=False,
               detail="mean over option indices that occur"),
        Metric("mcc", "options", _mcc_counts, _mcc, per_row=False, detail="option 1 is the positive class"),
        Metric("pearson", "text", _moments, _pearson, per_row=False, detail="with the first reference as a number"),
        Metric("spearman", "text", _joint_counts, _spearman, per_row=False,
               detail="with the first reference as a number, mean ranks for equal values"),
        _text("edit_similarity", text_metrics.edit_similarity, "1 - Levenshtein / longer length, in characters"),
        _text("exact_match", text_metrics.exact_match, "whole text, white space at the ends aside"),
        _text("squad_em", _squad(text_metrics.normalized_match), _SQUAD),
        _text("squad_f1", _squad(text_metrics.normalized_f1), _SQUAD),
        _text("trivia_qa_em", _trivia(text_metrics.normalized_match), _TRIVIA),
        _text("trivia_qa_f1", _trivia(text_metrics.normalized_f1), _TRIVIA),
        _text("rouge1", functools.partial(text_metrics.rouge, "rouge1"), _ROUGE),
        _text("rouge2", functools.partial(text_metrics.rouge, "rouge2"), _ROUGE),
        _text("rougeLsum", functools.partial(text_metrics.rouge, "rougeLsum"), _ROUGE + ", split at .!?"),
        Metric("bleu", "text", _bleu_statistics, _bleu, per_row=False, detail="sacrebleu corpus BLEU"),
    )
}  # fmt: skip

FAMILIES: dict[str, tuple[str, ...]] = {
    "squad": ("squad_f1", "squad_em"),
    "trivia_qa": ("trivia_qa_em", "trivia_qa_f1"),
    "rouge": ("rouge1", "rouge2", "rougeLsum"),
}
"""Names that stand for several metrics; the first is what a cluster's mean uses."""


def get_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names, families unfolded, each once; the first is the task's primary metric.

    Raises MetricError on an unknown name, listing those that exist.
    """
    unfolded: dict[str, Metric] = {}
    for name in names:
        for member in FAMILIES.get(name, (name,)):
            if member not in METRICS:
                known = sorted((*METRICS, *FAMILIES))
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise MetricError(f"unknown metric {name!r}{hint}  Known metrics: {', '.join(known)}")
            unfolded[member] = METRICS[member]
    return tuple(unfolded.values())


def describe(metric: Metric) -> str:
    """The variant and the library behind a metric, for the result file."""
    if metric.name == "bleu":
        return f"{metric.detail}, nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:{_version('sacrebleu')}"
    if metric.name.startswith("rouge"):
        return f"{metric.detail}, rouge-score {_version('rouge-score')}"
    return metric.detail


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


def no_options(task: str, split: str, metric: Metric) -> MetricError:
    """The refusal of a metric that reads which option was chosen, for a task that generates text."""
    return MetricError(
        f"{task}/{split}: metric {metric.name!r} needs options, but the task generates text; "
        "declare a text metric (exact_match, squad_f1, rougeLsum, bleu, ...) for it"
    )
