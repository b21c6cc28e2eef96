"""Two models on the same questions: differences, tests and what they are adjusted for."""

import numpy as np
import pytest
import scipy.stats

from flan_jax.evaluation.aggregation import AggregationError, bootstrap, bounds, tabulate
from flan_jax.evaluation.comparison import compare
from flan_jax.evaluation.metrics import METRICS
from flan_jax.evaluation.statistics import holm
from tests.evaluation.made_up_scores import clustered, scores_of


def test_paired_differences_are_narrower_and_found():
    draw = np.random.default_rng(3)
    base = clustered(draw, 150)
    tuned = base | (draw.random(base.shape) < 0.1)
    other = scores_of(base[:, ::-1], task="u")
    rows = compare({0: [scores_of(base), other]}, {0: [scores_of(tuned), other]})
    by_name = {row.name: row for row in rows}
    found = by_name["t"]
    assert found.difference == pytest.approx(100 * (tuned.mean() - base.mean()))
    assert found.low > 0
    assert (by_name["u"].low, by_name["u"].difference, by_name["u"].high) == (0.0, 0.0, 0.0)
    cluster = by_name["c"]
    assert cluster.difference == pytest.approx(found.difference / 2)
    assert cluster.tasks == ("t", "u")
    (alone,) = bootstrap([scores_of(base)], 1000, 0)
    low, high = bounds(alone.mean(1), 150)
    assert found.high - found.low < (high - low) / 2


def test_several_runs_are_averaged():
    draw = np.random.default_rng(4)
    runs = [[scores_of(draw.random((2, 50)) < level)] for level in (0.3, 0.5, 0.6, 0.8)]
    (row, _) = compare(dict(enumerate(runs[:2])), dict(enumerate(runs[2:])))
    means = [100 * run[0].statistics[..., 0].mean() for run in runs]
    assert row.base == pytest.approx(np.mean(means[:2]))
    assert row.difference == pytest.approx(np.mean(means[2:]) - np.mean(means[:2]))


def test_intervals_over_three_seeds_cover_the_truth_of_all_seeds():
    """Each seed gains 5 points give or take 4; resampling examples alone takes three seeds for all there are."""
    covered, naive = [], []
    for trial in range(200):
        draw = np.random.default_rng(trial)
        difficulty = draw.beta(2, 2, 150)
        base, tuned = {}, {}
        for seed in range(3):
            shift = draw.normal(0.05, 0.04)
            base[seed] = [scores_of(draw.random((2, 150)) < difficulty)]
            tuned[seed] = [scores_of(draw.random((2, 150)) < np.clip(difficulty + shift, 0, 1))]
        row, cluster = compare(base, tuned, replicates=300, seed=trial)
        assert (cluster.low, cluster.high) == (row.low, row.high)
        covered.append(row.low <= 5.0 <= row.high)
        runs = [run[0] for run in (*base.values(), *tuned.values())]
        drawn = np.stack([replicated.mean(axis=1) for replicated in bootstrap(runs, 300, trial)])
        low, high = bounds(np.mean(drawn[3:] - drawn[:3], axis=0), 150)
        naive.append(low <= 5.0 <= high)
    assert np.mean(covered) > 0.92
    assert np.mean(naive) < 0.85


def test_a_seed_of_one_side_only_is_left_out_and_named():
    half = {seed: [scores_of(np.arange(40).reshape(1, 40) < right)] for seed, right in ((0, 10), (2, 38), (5, 12))}
    tuned = {seed: [scores_of(np.ones((1, 40), bool))] for seed in (0, 5, 7)}
    (row, _) = compare(half, tuned)
    assert row.each == {0: 75.0, 5: 70.0} and row.left_out == (2, 7)
    assert row.difference == pytest.approx(72.5)
    with pytest.raises(AggregationError, match=r"no training seed in common: base has \[2\], tuned \[0, 5, 7\]"):
        compare({2: half[2]}, tuned)


def test_only_common_examples_are_compared():
    base, tuned = np.zeros((2, 6), bool), np.ones((2, 4), bool)
    (row, _) = compare({0: [scores_of(base)]}, {0: [scores_of(tuned)]})
    assert (row.examples, row.difference) == (4, 100.0)
    with pytest.raises(AggregationError, match="no task in common"):
        compare({0: [scores_of(base)]}, {0: [scores_of(tuned, task="u")]})


def test_with_one_template_the_sign_test_is_mcnemars():
    base = np.array([[True] * 30 + [False] * 20])
    tuned = base.copy()
    tuned[0, :4], tuned[0, 35:48] = False, True
    (row, _) = compare({0: [scores_of(base)]}, {0: [scores_of(tuned)]})
    assert (row.wins, row.losses, row.ties) == (13, 4, 33)
    assert row.p_sign == pytest.approx(scipy.stats.binomtest(4, 17).pvalue)
    by_hand = 2 * sum(scipy.special.comb(17, k) for k in range(5)) / 2**17
    assert row.p_sign == pytest.approx(by_hand)


def test_p_goes_with_the_interval_and_the_permutations_with_both():
    for gain in (0, 4, 8, 16):
        draw = np.random.default_rng(gain)
        base = clustered(draw, 200)
        tuned = base ^ (draw.random((1, 200)) < 0.1)
        tuned[:, :gain] = True
        (row, _) = compare({0: [scores_of(base)]}, {0: [scores_of(tuned)]}, replicates=2000)
        assert row.p_permutation is not None
        assert row.p_permutation == pytest.approx(row.p, abs=0.1 if row.p > 0.2 else 0.02)
        assert (row.p < 0.05) == (row.low > 0 or row.high < 0)
        assert row.detectable == pytest.approx(1.4294 * (row.high - row.low) / 2, rel=1e-3)


def test_clusters_are_adjusted_for_one_another_and_averaged_overall():
    draw = np.random.default_rng(7)
    sides = [[], []]
    for number in range(4):
        base = clustered(draw, 120)
        tuned = base | (draw.random(base.shape) < 0.02 * number)
        for side, correct in zip(sides, (base, tuned), strict=True):
            side.append(scores_of(correct, task=f"t{number}", cluster=f"c{number}"))
    rows = compare({0: sides[0]}, {0: sides[1]})
    clusters = [row for row in rows if row.level == "cluster"]
    assert [row.p_holm for row in clusters] == pytest.approx(holm([row.p for row in clusters]))
    (overall,) = [row for row in rows if row.level == "overall"]
    assert overall.difference == pytest.approx(np.mean([row.difference for row in clusters]))
    assert overall.tasks == ("t0", "t1", "t2", "t3") and overall.p_holm == overall.p
    assert overall.high - overall.low < max(row.high - row.low for row in clusters)


def test_corpus_metrics_are_permuted_as_corpora():
    """Swapping the answers of models that are as good as each other gives differences as large as the one seen."""
    metric, draw = METRICS["macro_f1"], np.random.default_rng(1)
    right = draw.integers(0, 3, 300)
    names = [f"{i:03}" for i in range(300)]

    def scores(accuracy, classes):
        chosen = np.where(draw.random(300) < accuracy, right, draw.integers(0, classes, 300))
        return tabulate("t", "c", "test", metric, [0] * 300, names, metric.statistics(chosen, right))

    (same, _) = compare({0: [scores(0.6, 3)]}, {0: [scores(0.6, 3)]})
    (more, _) = compare({0: [scores(0.6, 3)]}, {0: [scores(0.6, 4)]})  # chooses a class the other does not, nor anyone
    assert more.p_permutation is not None and more.p_permutation < 0.01 and more.difference < 0
    (better, _) = compare({0: [scores(0.4, 3)]}, {0: [scores(0.8, 3)]})
    assert better.p_permutation is not None and better.p_permutation < 0.01 and better.p < 0.01
    assert same.p_permutation is not None and same.p_permutation > 0.01
    assert (same.wins, same.p_sign) == (None, None)


def test_ranks_have_no_permutations():
    metric = METRICS["spearman"]
    names = ["a", "b", "c", "d"]
    scores = [
        tabulate("t", "c", "test", metric, [0] * 4, names, metric.statistics(said, [["1"], ["2"], ["3"], ["4"]]))
        for said in (["1", "2", "4", "3"], ["1", "2", "3", "4"])
    ]
    (row, _) = compare({0: [scores[0]]}, {0: [scores[1]]})
    assert row.p_permutation is None and row.difference == pytest.approx(20.0)


def test_directions_weigh_the_same_in_a_difference():
    ways = {0: "out", 1: "in", 2: "out"}
    base, tuned = np.zeros((3, 20), bool), np.zeros((3, 20), bool)
    tuned[1] = True
    (row, _) = compare({0: [scores_of(base, directions=ways)]}, {0: [scores_of(tuned, directions=ways)]})
    assert row.difference == pytest.approx(50.0) and row.wins == 20
