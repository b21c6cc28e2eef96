import numpy as np
import pytest

from flan_jax.evaluation.aggregation import (
    AggregationError,
    bootstrap,
    summarize_cluster,
    summarize_task,
    tabulate,
)
from flan_jax.evaluation.metrics import METRICS
from tests.evaluation.made_up_scores import ACCURACY, scores_of


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


DIRECTIONS = {0: "English to German", 1: "German to English", 2: "English to German"}


def test_directions_are_figures_of_their_own_and_weigh_the_same():
    """Two templates of three go one way: the task's mean is over directions, not over templates."""
    correct = np.zeros((3, 10), bool)
    for template, right in enumerate((2, 8, 4)):
        correct[template, :right] = True
    dev = np.zeros((3, 10), bool)
    dev[2, :3] = True
    figures, drawn = summarize_task(
        scores_of(correct, directions=DIRECTIONS), scores_of(dev, split="validation", directions=DIRECTIONS)
    )
    out, into = figures.directions
    assert (out.direction, out.mean, out.per_template) == ("English to German", pytest.approx(30.0), {0: 20.0, 2: 40.0})
    assert (into.direction, into.mean, into.sd) == ("German to English", 80.0, None)
    assert figures.mean == pytest.approx(55.0) and figures.sd == out.sd
    assert (out.best_dev_template, into.best_dev_template, figures.best_dev_template) == (2, 1, None)
    assert figures.best_dev == pytest.approx(60.0)
    assert (figures.worst, figures.worst_template) == (20.0, 0)
    assert drawn.mean.mean() == pytest.approx(55.0, abs=1.0) and figures.low < 55 < figures.high
    assert summarize_cluster("c", [(figures, drawn)]).best_dev == figures.best_dev


def test_one_direction_is_none():
    figures, _ = summarize_task(scores_of(np.ones((2, 3), bool), directions={0: "a", 1: "a"}))
    assert figures.directions == ()


def test_rows_of_a_question_are_drawn_together():
    """40 questions of 5 replies that are all right or all wrong: the error is that of 40, not of 200."""
    right = np.repeat(np.arange(40) < 20, 5)[None]
    questions = {f"e{i:04}": f"q{i // 5}" for i in range(200)}
    alone, _ = summarize_task(scores_of(right), replicates=3000)
    together, drawn = summarize_task(scores_of(right, documents=questions), replicates=3000)
    assert (together.examples, drawn.documents, together.mean) == (200, 40, alone.mean)
    assert together.se == pytest.approx(100 * np.sqrt(0.25 / 39), rel=0.06)
    assert alone.se == pytest.approx(100 * np.sqrt(0.25 / 199), rel=0.06)


def test_the_error_of_a_matthews_correlation_is_that_of_redrawn_data():
    draw = np.random.default_rng(0)

    def scores():
        right = draw.integers(0, 2, 150)
        chosen = np.where(draw.random(150) < 0.7, right, 1 - right)
        names = [f"{i:03}" for i in range(150)]
        return tabulate("t", "c", "test", METRICS["mcc"], [0] * 150, names, METRICS["mcc"].statistics(chosen, right))

    redrawn = np.std([scores().mean() for _ in range(500)])
    told = np.mean([summarize_task(scores(), replicates=300)[0].se for _ in range(20)])
    assert told == pytest.approx(redrawn, rel=0.1)
