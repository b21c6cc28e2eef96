"""Figures of a sweep from made-up rows: seeds averaged, differences paired."""

import numpy as np
import pytest

from flan_jax.evaluation.requests import Request
from flan_jax.evaluation.results import Results, ranked_row, rows_table
from flan_jax.report.clusters import cluster_results
from flan_jax.sweep import Cell

METRICS = {"a": ("accuracy",), "b": ("accuracy",)}


def results(right: dict[str, float], seed: int) -> Results:
    """40 examples under 2 templates for each task, a share `right[task]` of the examples answered rightly."""
    rows = []
    tokens = np.array([1], np.int32)
    for task, share in right.items():
        for example in range(40):
            for template in (0, 1):
                request = Request(
                    task=task, cluster="nli", split="test", example_id=str(example), template=template, context=tokens,
                    options=(tokens, tokens), option_texts=(" yes", " no"), answer=0, references=("yes",), inputs="?",
                )  # fmt: skip
                good = (example + seed) % 40 < 40 * share
                rows.append(ranked_row(request, np.array([0.0, -1.0 if good else 1.0])))
    return Results(rows_table(rows, METRICS), METRICS, "test", None, {}, replicates=200, seed=0)


def test_means_over_datasets_and_seeds_and_paired_gains():
    cells = {}
    for seed in (0, 1):
        cells[Cell("base", "nli", seed)] = results({"a": 0.5, "b": 0.3}, seed)
        cells[Cell("tuned", "nli", seed)] = results({"a": 0.7, "b": 0.5 + 0.1 * seed}, seed)
    (cluster,) = cluster_results(cells)
    assert cluster.scores["base"].value == pytest.approx(40.0)
    assert cluster.scores["tuned"].each == pytest.approx((60.0, 65.0))
    assert cluster.scores["tuned"].value == pytest.approx(62.5)
    gain = cluster.gains["tuned"]
    assert gain.value == pytest.approx(22.5) and gain.low < gain.value < gain.high
    assert gain.each == pytest.approx((20.0, 25.0)) and gain.sd == pytest.approx(12.5**0.5) and gain.left_out == 0
    assert cluster.gains.keys() == {"tuned"}
    assert [(d.task, d.examples, d.templates) for d in cluster.datasets] == [("a", 40, 2), ("b", 40, 2)]
    assert cluster.datasets[0].sds["base"] == pytest.approx(0.0)
    assert cluster.chance == pytest.approx(50.0)


def test_a_kind_that_is_missing_is_left_out():
    (cluster,) = cluster_results({Cell("tuned", "nli", 0): results({"a": 0.5, "b": 0.5}, 0)})
    assert set(cluster.scores) == {"tuned"} and cluster.gains == {}


def test_only_seeds_that_both_have_are_compared_and_the_others_counted():
    """Seed 1, where the base was lucky, is not tuned yet: it must not eat the gain of seed 0."""
    cells = {
        Cell("base", "nli", 0): results({"a": 0.5, "b": 0.5}, 0),
        Cell("base", "nli", 1): results({"a": 0.9, "b": 0.9}, 1),
        Cell("tuned", "nli", 0): results({"a": 0.7, "b": 0.7}, 0),
    }
    (cluster,) = cluster_results(cells)
    gain = cluster.gains["tuned"]
    assert gain.value == pytest.approx(20.0) and gain.each == pytest.approx((20.0,)) and gain.left_out == 1
    assert cluster.scores["base"].each == pytest.approx((50.0, 90.0)) and cluster.scores["base"].left_out == 0
    assert cluster.scores["tuned"].left_out == 1
    del cells[Cell("base", "nli", 0)]
    assert cluster_results(cells)[0].gains == {}


def test_p_values_are_adjusted_for_the_number_of_clusters():
    cells = {}
    for cluster, better in (("nli", 0.75), ("misc", 0.6), ("sentiment", 0.5)):
        cells[Cell("base", cluster, 0)] = results({"a": 0.5, "b": 0.5}, 0)
        cells[Cell("tuned", cluster, 0)] = results({"a": better, "b": better}, 0)
    gains = {cluster.cluster: cluster.gains["tuned"] for cluster in cluster_results(cells)}
    assert gains["nli"].p < 0.05 and gains["nli"].p_holm == pytest.approx(3 * gains["nli"].p)
    assert gains["nli"].p_holm <= gains["misc"].p_holm <= gains["sentiment"].p_holm
    assert gains["sentiment"].p == pytest.approx(1.0) and gains["nli"].detectable > 5
