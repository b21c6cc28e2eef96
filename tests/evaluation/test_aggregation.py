import numpy as np
import pytest

from flan_jax.evaluation.aggregation import (
    AggregationError,
    bootstrap,
    compare,
    interval,
    summarize_cluster,
    summarize_task,
    tabulate,
)
from flan_jax.evaluation.metrics import METRICS

ACCURACY = METRICS["accuracy"]


def scores_of(correct: np.ndarray, task: str = "t", split: str = "test", cluster: str = "c"):
    """Scores from a table [templates, examples] of right and wrong."""
    templates, examples = np.indices(correct.shape)
    statistics = np.stack([correct.ravel(), np.ones(correct.size)], -1).astype(float)
    names = [f"e{i:04}" for i in examples.ravel()]
    return tabulate(task, cluster, split, ACCURACY, templates.ravel().tolist(), names, statistics)


def test_rows_in_any_order_give_the_same_scores():
    correct = np.random.default_rng(0).random((3, 7)) < 0.5
    expected = scores_of(correct)
    order = np.random.default_rng(1).permutation(21)
    templates, examples = (axis.ravel()[order] for axis in np.indices(correct.shape))
    statistics = np.stack([correct.ravel()[order], np.ones(21)], -1).astype(float)
    shuffled = tabulate("t", "c", "test", ACCURACY, templates, [f"e{i:04}" for i in examples], statistics)
    np.testing.assert_array_equal(shuffled.statistics, expected.statistics)
    assert shuffled.examples == expected.examples
    np.testing.assert_allclose(expected.per_template(), 100 * correct.mean(1))


def test_an_example_scored_twice_is_an_error():
    with pytest.raises(AggregationError, match=r"t/test: example 'a' was scored 2 times under template 1"):
        tabulate("t", "c", "test", ACCURACY, [1, 1], ["a", "a"], np.ones((2, 2)))


def test_a_row_missing_under_one_template_counts_in_none():
    scores = tabulate("t", "c", "test", ACCURACY, [0, 0, 1], ["a", "b", "a"], np.array([[1.0, 1], [0, 1], [1, 1]]))
    np.testing.assert_allclose(scores.per_template(), [50.0, 100.0])


def test_figures_over_templates():
    correct = np.zeros((4, 10), bool)
    for template, right in enumerate((8, 2, 6, 6)):
        correct[template, :right] = True
    dev = np.zeros((4, 10), bool)
    dev[2, :9] = True
    figures, _ = summarize_task(scores_of(correct), scores_of(dev, split="validation"))
    assert (figures.mean, figures.median, figures.worst, figures.worst_template) == (55.0, 60.0, 20.0, 1)
    assert figures.sd == pytest.approx(np.std([80, 20, 60, 60], ddof=1))
    assert figures.best_dev_template == 2  # best on validation, though another is best here
    assert figures.best_dev == 60.0
    assert figures.selected_on == "validation"
    assert figures.per_template == {0: 80.0, 1: 20.0, 2: 60.0, 3: 60.0}


def test_the_best_template_is_not_chosen_where_it_is_reported():
    scores = scores_of(np.ones((2, 3), bool))
    with pytest.raises(AggregationError, match="same split 'test'"):
        summarize_task(scores, scores)


def test_one_template_has_no_spread():
    figures, _ = summarize_task(scores_of(np.array([[True, False, True, True]])))
    assert figures.sd is None
    assert figures.best_dev is None


def clustered(draw: np.random.Generator, examples: int, shift: float = 0.0) -> np.ndarray:
    """Ten templates that mostly agree on an example: right with a probability that the example decides."""
    difficulty = draw.beta(0.5, 0.5, examples)
    return draw.random((10, examples)) < np.clip(difficulty + shift, 0, 1)


def test_intervals_cover_and_do_not_take_templates_for_examples():
    covered, widths, naive = [], [], []
    for seed in range(250):
        correct = clustered(np.random.default_rng(seed), 80)
        (replicated,) = bootstrap([scores_of(correct)], 400, seed)
        low, high = interval(replicated.mean(1))
        covered.append(low <= 50.0 <= high)
        widths.append(high - low)
        naive.append(2 * 1.96 * 100 * np.sqrt(0.25 / correct.size))
    assert 0.91 <= np.mean(covered) <= 0.985  # 0.95, ± 3 standard errors, and the slight optimism of percentiles
    assert np.mean(widths) > 2 * np.mean(naive)


def test_bootstrap_of_a_mean_has_its_closed_form_error():
    correct = np.random.default_rng(0).random((1, 500)) < 0.3
    (replicated,) = bootstrap([scores_of(correct)], 4000, 0)
    closed = 100 * np.sqrt(correct.mean() * (1 - correct.mean()) / 500)
    assert replicated.std() == pytest.approx(closed, rel=0.05)


def test_corpus_metrics_are_bootstrapped_as_corpora():
    metric = METRICS["macro_f1"]
    draw = np.random.default_rng(0)
    right = draw.integers(0, 3, 200)
    chosen = np.where(draw.random(200) < 0.7, right, draw.integers(0, 3, 200))
    names = [f"{i:03}" for i in range(200)]
    scores = tabulate("t", "c", "test", metric, [0] * 200, names, metric.statistics(chosen, right))
    (replicated,) = bootstrap([scores], 300, 0)
    whole = float(scores.per_template()[0])
    assert abs(replicated.mean() - whole) < 1.0
    assert 1.0 < replicated.std() < 6.0


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
    low, high = interval(alone.mean(1))
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
        low, high = interval(np.mean(drawn[3:] - drawn[:3], axis=0))
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


def test_a_cluster_is_the_mean_of_its_datasets():
    draw = np.random.default_rng(5)
    tables = [draw.random((3, 40)) < level for level in (0.2, 0.7)]
    dev = [scores_of(draw.random((3, 40)) < 0.5, task=f"t{i}", split="validation") for i in range(2)]
    members = [summarize_task(scores_of(tables[i], task=f"t{i}"), dev[i]) for i in range(2)]
    cluster = summarize_cluster("c", members)
    assert cluster.mean == pytest.approx(100 * np.mean([table.mean() for table in tables]))
    assert cluster.low < cluster.mean < cluster.high
    assert cluster.best_dev == pytest.approx(np.mean([figures.best_dev for figures, _ in members]))
    assert summarize_cluster("c", [members[0], summarize_task(scores_of(tables[1], task="t1"))]).best_dev is None
