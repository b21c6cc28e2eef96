import numpy as np
import pytest
import scipy.stats
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU

from flan_jax.evaluation.metrics import METRICS, MetricError, describe, get_metrics
from flan_jax.evaluation.text_metrics import normalize_squad, normalize_trivia_qa, token_f1

WORDS = ["the", "cat", "sat", "on", "a", "mat", ".", "dogs", "run", "fast", ";", "bird", "sang", "old", "tree"]


def value(name: str, *arguments) -> float:
    metric = METRICS[name]
    return float(metric.score(metric.statistics(*arguments).sum(0)))


def sentences(count: int, seed: int, shortest: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(shortest, 12))) for _ in range(count)]


def test_accuracy_and_f1_by_hand():
    chosen, right = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 1])
    assert value("accuracy", chosen, right) == 60.0
    assert value("f1", chosen, right) == pytest.approx(100 * 2 / 3)  # 2 found, 1 wrong, 1 missed
    assert value("macro_f1", chosen, right) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert value("f1", np.array([0, 0]), np.array([0, 0])) == 0.0


def test_macro_f1_is_the_mean_over_the_classes_that_occur():
    assert value("macro_f1", np.array([0, 2, 2]), np.array([0, 2, 3])) == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_correlations_equal_scipy(seed):
    """Whole, and as what a resampling takes: the sum of weighted statistics is that of the repeated rows."""
    draw = np.random.default_rng(seed)
    x, y = draw.integers(0, 6, 80), np.round(draw.uniform(0, 5, 80), 1)
    predictions, references = [str(i) for i in x], [[str(j)] for j in y]
    times = draw.integers(0, 3, 80)
    for name, theirs in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        metric = METRICS[name]
        statistics = metric.statistics(predictions, references)
        sums = np.stack([statistics.sum(0), times @ statistics])
        again = theirs(np.repeat(x, times), np.repeat(y, times))[0]
        np.testing.assert_allclose(metric.score(sums), [100 * theirs(x, y)[0], 100 * again], rtol=1e-9)


def test_correlation_of_a_constant_or_of_words_is_nought_or_worst():
    assert value("pearson", ["3", "3"], [["1.0"], ["2.5"]]) == value("spearman", ["3", "3"], [["1"], ["2"]]) == 0.0
    assert value("pearson", ["none", "4"], [["1.0"], ["2.5"]]) == pytest.approx(100.0)  # no number is below the scale


def test_matthews_correlation_equals_that_of_the_classes_as_numbers():
    chosen, right = np.array([0, 1, 1, 0, 1, 0, 0]), np.array([0, 1, 0, 1, 1, 0, 1])
    assert value("mcc", chosen, right) == pytest.approx(100 * np.corrcoef(chosen, right)[0, 1])
    assert value("mcc", np.ones(4, int), np.array([0, 1, 1, 0])) == 0.0


def test_edit_similarity_takes_the_nearest_reference():
    found = value("edit_similarity", ["kitten", ""], [["sitting", "mitten"], [""]])
    assert found == pytest.approx(100 * (5 / 6 + 1) / 2)


def test_exact_match_counts_case_and_takes_any_reference():
    references = [["Rome", "Paris"], ["Paris"], ["y"], ["z"]]
    assert value("exact_match", [" Paris ", "paris", "x", "zz"], references) == 25.0


def test_squad_by_hand():
    assert normalize_squad("The  Quick-Brown fox, an A!") == "quickbrown fox"
    references = [["the Eiffel Tower", "a tower of iron"], ["nine"]]
    assert value("squad_em", ["Eiffel tower.", "ten"], references) == 50.0
    assert value("squad_f1", ["big Eiffel tower", "ten"], references) == pytest.approx(100 * 0.8 / 2)
    assert token_f1("", "") == 1.0
    assert token_f1("x", "") == 0.0
    assert token_f1("a a b", "a b b") == pytest.approx(2 / 3)  # bags, not sets


def test_trivia_qa_makes_spaces_of_punctuation():
    assert normalize_trivia_qa("The Rolling_Stones’ “best”-of") == "rolling stones “best” of"
    assert value("trivia_qa_em", ["spider man"], [["Batman", "Spider-Man"]]) == 100.0
    assert value("squad_em", ["spider man"], [["Batman", "Spider-Man"]]) == 0.0
    assert value("trivia_qa_f1", ["the spider"], [["Spider-Man"]]) == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeLsum"])
def test_rouge_equals_rouge_score(name):
    predictions, first, second = (sentences(12, seed, 1) for seed in range(3))
    scorer = rouge_scorer.RougeScorer([name], use_stemmer=False)

    def split(text: str) -> str:
        return text.replace(". ", ".\n")

    expected = [
        max(scorer.score(split(r), split(p))[name].fmeasure for r in references)
        for p, *references in zip(predictions, first, second, strict=True)
    ]
    got = value(name, predictions, list(zip(first, second, strict=True)))
    assert got == pytest.approx(100 * np.mean(expected), abs=1e-9)
    assert 0 < got < 100


def test_rouge_uses_no_stemmer():
    assert value("rouge1", ["running dogs"], [["run dog"]]) == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_bleu_equals_sacrebleu(seed):
    size = (1, 3, 40)[seed % 3]  # small ones have orders without a match, which are smoothed
    predictions, first, second = (sentences(size, 10 * seed + k) for k in range(3))
    expected = BLEU().corpus_score(predictions, [first, second]).score
    assert value("bleu", predictions, list(zip(first, second, strict=True))) == pytest.approx(expected, abs=1e-9)


def test_bleu_of_good_and_empty_output():
    texts = sentences(20, 7, 6)
    assert value("bleu", texts, [[text] for text in texts]) == pytest.approx(100.0)
    assert value("bleu", [""] * 3, [["a cat"]] * 3) == 0.0
    close = [text + " and more" for text in texts]
    expected = BLEU().corpus_score(close, [texts]).score
    assert value("bleu", close, [[text] for text in texts]) == pytest.approx(expected, abs=1e-9)


def test_sums_of_several_resamples_are_scored_at_once():
    for name, arguments in {
        "macro_f1": (np.array([0, 1, 2, 1]), np.array([0, 2, 2, 1])),
        "bleu": (sentences(4, 1, 5), [[text] for text in sentences(4, 2, 5)]),
    }.items():
        metric = METRICS[name]
        statistics = metric.statistics(*arguments)
        sums = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), size=5) @ statistics
        np.testing.assert_allclose(metric.score(sums), [float(metric.score(one)) for one in sums])


def test_names_and_families():
    names = [metric.name for metric in get_metrics(["accuracy", "squad", "squad_em"])]
    assert names == ["accuracy", "squad_f1", "squad_em"]
    with pytest.raises(MetricError, match=r"did you mean 'accuracy'.*Known metrics: accuracy, bleu"):
        get_metrics(["acuracy"])


def test_variants_are_stated():
    assert "tok:13a|smooth:exp|version:" in describe(METRICS["bleu"])
    assert "no stemmer" in describe(METRICS["rougeLsum"])
