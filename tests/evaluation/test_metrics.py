import importlib.metadata

import numpy as np
import pytest
import sacrebleu
import scipy.stats
import sklearn.metrics
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU

from flan_jax.evaluation.metrics import METRICS, MetricError, describe, get_metrics
from flan_jax.evaluation.text_metrics import (
    normalize_natural_instructions,
    normalize_squad,
    normalize_trivia_qa,
    set_f1,
    token_f1,
)

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


@pytest.mark.parametrize("seed", range(4))
def test_scores_of_classes_equal_scikit_learn(seed):
    """Whole, and as what a resampling takes; with classes that only the answers or only the choices have."""
    draw = np.random.default_rng(seed)
    right, chosen = draw.integers(0, 2 + seed, 60), draw.integers(seed % 2, 3 + seed // 2, 60)
    times = draw.integers(0, 3, 60)
    for name, theirs in (
        ("macro_f1", lambda r, c: sklearn.metrics.f1_score(r, c, average="macro", zero_division=0)),
        ("mcc", sklearn.metrics.matthews_corrcoef),
        ("f1", lambda r, c: sklearn.metrics.f1_score(r == 1, c == 1)),
    ):
        metric = METRICS[name]
        statistics = metric.statistics(chosen, right)
        expected = [theirs(right, chosen), theirs(np.repeat(right, times), np.repeat(chosen, times))]
        found = metric.score(np.stack([statistics.sum(0), times @ statistics]))
        np.testing.assert_allclose(found, 100 * np.array(expected), atol=1e-9)


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
    assert value("word_edit_similarity", ["the cat sat"], [["a cat sat down"]]) == pytest.approx(50.0)


def test_exact_match_counts_case_and_takes_any_reference():
    references = [["Rome", "Paris"], ["Paris"], ["y"], ["z"]]
    assert value("exact_match", [" Paris ", "paris", "x", "zz"], references) == 25.0


def test_squad_by_hand():
    assert normalize_squad("The  Quick-Brown fox, an A!") == "quickbrown fox"
    references = [["the Eiffel Tower", "a tower of iron"], ["nine"]]
    assert value("squad_em", ["Eiffel tower.", "ten"], references) == 50.0
    assert value("squad_f1", ["big Eiffel tower", "ten"], references) == pytest.approx(100 * 0.8 / 2)
    assert token_f1("", "") == 0.0  # "the" and "a" have no word in common
    assert token_f1("x", "") == 0.0
    assert token_f1("a a b", "a b b") == pytest.approx(2 / 3)  # bags, not sets
    assert set_f1("a a b", "a b b") == 1.0 and set_f1("", "") == 0.0
    assert value("squad_em", ["The"], [["a"]]) == 100.0 and value("squad_f1", ["The"], [["a"]]) == 0.0


def test_squad_2_by_hand():
    """Nothing is the answer to what has none, and so is what prompts ask to write; half of it is not."""
    said = ["unanswerable", "", "Unanswerable.", "unanswerable question", "Paris", "", "unanswerable", "in Paris"]
    references = [["unanswerable"]] * 5 + [["Paris"]] * 3
    assert value("squad_v2_em", said, references) == pytest.approx(100 * 3 / 8)
    assert value("squad_v2_f1", said, references) == pytest.approx(100 * (3 + 2 / 3) / 8)
    assert value("squad_f1", said[3:4], references[3:4]) == pytest.approx(100 * 2 / 3), "which SQuAD 1.1's would give"


DROP_TEXTS = [
    "3", "3.0", "$3", "three", "3 yards", "30-yard", "30 yard", "The Bears", "bears", "a 12-yard pass", "12", "1,200",
    "1200", "", "the", "2 touchdowns and 3 goals", "New York Giants", "New-York", "27%", "May 5, 1990", "nan", "-5",
]  # fmt: skip


def test_drop_equals_the_official_evaluation():
    """As lm-evaluation-harness has it, over all pairs of texts with and without numbers, hyphens and articles."""
    from lm_eval.tasks.drop.utils import get_metrics as official

    pairs = [(said, wanted) for said in DROP_TEXTS for wanted in DROP_TEXTS]
    expected = np.array([official(said, (wanted,)) for said, wanted in pairs])
    for number, name in enumerate(("drop_em", "drop_f1")):
        metric = METRICS[name]
        found = metric.statistics([said for said, _ in pairs], [[wanted] for _, wanted in pairs])[:, 0]
        np.testing.assert_allclose(found, expected[:, number], atol=1e-9)
        assert 0 < found.mean() < 1
    assert value("drop_f1", ["12 yards"], [["12", "20 yards"]]) == pytest.approx(67.0)  # rounded, best of both
    assert value("drop_f1", ["ten yards"], [["20 yards"]]) == 0.0  # without the number
    assert value("drop_em", ["3.0"], [["3"]]) == 100.0 and value("squad_em", ["3.0"], [["3"]]) == 0.0


def test_natural_instructions_by_hand():
    """Articles stay, punctuation and case go; ROUGE-L with the stemmer, against the best reference."""
    assert normalize_natural_instructions("The  Quick-Brown fox, an A!") == "the quickbrown fox an a"
    assert value("natural_instructions_em", ["Yes.", "a cat"], [["no", "yes"], ["cat"]]) == 50.0
    said, wanted = "running dogs sat", ["a run dog", "dog runs sitting sat"]
    assert value("natural_instructions_rougeL", [said], [wanted]) == pytest.approx(100 * max(2 * 2 / 6, 2 * 2 / 7))


def test_multirc_judges_questions_as_a_whole():
    """F1a is over all replies; a question counts where every reply is judged rightly, wherever its rows stand."""
    questions = ["0-1", "0-0", "0-0", "0-1", "0-2", "0-1"]
    right = np.array([1, 0, 1, 0, 1, 1])
    chosen = np.array([1, 0, 1, 1, 0, 1])  # 0-0 right, one of 0-1's three wrong, 0-2 wrong
    metric = METRICS["multirc_em"]
    statistics = metric.statistics(chosen, right, questions)
    assert metric.score(statistics.sum(0)) == pytest.approx(100 / 3)
    assert statistics.sum(0).tolist() == [1, 3]
    assert value("f1", chosen, right) == pytest.approx(100 * 2 * 3 / (2 * 3 + 1 + 1))
    assert value("f1", chosen, right) == pytest.approx(100 * sklearn.metrics.f1_score(right, chosen), abs=1e-9)


def test_record_scores_the_name_alone_against_any_right_one():
    """With the query's rest, which all options share, a wrong name would get most of F1."""
    rest = "@placeholder's forces left the city."
    options = [rest.replace("@placeholder", name) for name in ("North Korea", "South Korea", "Rome")]
    for said, em, f1 in ((0, 100.0, 100.0), (1, 0.0, 50.0), (2, 0.0, 0.0)):
        arguments = ([options[said]], [[options[0], "The north KOREA's forces left the city."]], [rest])
        assert value("record_em", *arguments) == em
        assert value("record_f1", *arguments) == pytest.approx(f1)
    assert value("squad_f1", [options[2]], [[options[0]]]) > 60
    assert value("record_em", ["Rome (1.5) and Rome."], [["Rome"]], ["@placeholder (1.5) and @placeholder."]) == 100.0
    assert value("record_em", ["Rome"], [["Rome"]], [" @placeholder"]) == 100.0


def test_trivia_qa_makes_spaces_of_punctuation():
    assert normalize_trivia_qa("The Rolling_Stones’ “best”-of") == "rolling stones “best” of"
    assert value("trivia_qa_em", ["spider man"], [["Batman", "Spider-Man"]]) == 100.0
    assert value("squad_em", ["spider man"], [["Batman", "Spider-Man"]]) == 0.0
    assert value("trivia_qa_f1", ["the spider"], [["Spider-Man"]]) == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_rouge_equals_rouge_score(name, stemmer):
    predictions, first, second = (sentences(12, seed, 1) for seed in range(3))
    scorer = rouge_scorer.RougeScorer([name], use_stemmer=stemmer)

    def split(text: str) -> str:
        return text.replace(". ", ".\n") if name == "rougeLsum" else text

    expected = [
        max(scorer.score(split(r), split(p))[name].fmeasure for r in references)
        for p, *references in zip(predictions, first, second, strict=True)
    ]
    got = value(f"{name}_stemmed" if stemmer else name, predictions, list(zip(first, second, strict=True)))
    assert got == pytest.approx(100 * np.mean(expected), abs=1e-9)
    assert 0 < got < 100


def test_rouge_uses_the_stemmer_only_where_it_says_so():
    assert value("rouge1", ["running dogs"], [["run dog"]]) == 0.0
    assert value("rouge1_stemmed", ["running dogs"], [["run dog"]]) == pytest.approx(100.0)


@pytest.mark.parametrize("seed", range(6))
def test_bleu_equals_sacrebleu(seed):
    size = (1, 3, 40)[seed % 3]  # small ones have orders without a match, which are smoothed
    predictions, first, second = (sentences(size, 10 * seed + k) for k in range(3))
    for name, tokenizer in (("bleu", "13a"), ("bleu_intl", "intl")):
        expected = BLEU(tokenize=tokenizer).corpus_score(predictions, [first, second]).score
        assert value(name, predictions, list(zip(first, second, strict=True))) == pytest.approx(expected, abs=1e-9)


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
    with pytest.raises(MetricError, match=r"unknown metric 'rouge_1'; did you mean 'rouge1' or 'rouge' or '"):
        get_metrics(["rouge_1"])
    families = ["multirc", "record", "squad_v2", "drop", "natural_instructions"]
    assert [metric.name for metric in get_metrics(families)] == [
        "f1", "multirc_em", "record_em", "record_f1", "squad_v2_f1", "squad_v2_em", "drop_f1", "drop_em",
        "natural_instructions_rougeL", "natural_instructions_em",
    ]  # fmt: skip


def test_variants_are_stated():
    version = sacrebleu.__version__
    metric = BLEU()
    metric.corpus_score(["a b"], [["a b"]])
    theirs = str(metric.get_signature()).replace("nrefs:1", "nrefs:var")
    assert describe(METRICS["bleu"]) == f"corpus BLEU, sacrebleu {version}, {theirs}"
    assert f"tok:intl|smooth:exp|version:{version}" in describe(METRICS["bleu_intl"])
    assert "no stemmer" in describe(METRICS["rougeLsum"])
    version = importlib.metadata.version("rouge-score")
    assert describe(METRICS["rouge1_stemmed"]) == (
        f"F-measure, Porter stemmer, maximum over references, mean over examples, rouge-score {version}"
    )
