"""What a label says: the class names of TFDS against the answers, for all 37 classification datasets."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from made_up_rows import ROWS

from tasks import catalog
from tasks.dataset import Dataset, Drop, Tfds

YES_NO = {"entailment": "yes", "not_entailment": "no"}
TRUE_FALSE = {"False": "no", "True": "yes"}
THREE_WAY = {"entailment": "yes", "neutral": "it is not possible to tell", "contradiction": "no"}
ANLI = {"e": "Yes", "n": "It's impossible to say", "c": "No"}
MEANING: dict[str, dict[str, str]] = {
    "anli_r1": ANLI, "anli_r2": ANLI, "anli_r3": ANLI, "rte": YES_NO, "qnli": YES_NO,
    "cb": {"entailment": "Yes", "contradiction": "No", "neutral": "It's impossible to say"},
    "mnli_matched": THREE_WAY, "mnli_mismatched": THREE_WAY, "snli": THREE_WAY,
    "wnli": {"not_entailment": "no", "entailment": "yes"},
    "glue_mrpc": {"not_equivalent": "no", "equivalent": "yes"},
    "glue_qqp": {"not_duplicate": "no", "duplicate": "yes"},
    "paws_wiki": {"different_meaning": "no", "paraphrase": "yes"},
    "imdb_reviews": {"neg": "negative", "pos": "positive"},
    "yelp_polarity_reviews": {"1": "negative", "2": "positive"},
    "sst2": {"negative": "negative", "positive": "positive"},
    "multirc": TRUE_FALSE, "wsc": TRUE_FALSE, "wic": TRUE_FALSE,
    "cola": {"unacceptable": "unacceptable", "acceptable": "acceptable"},
    "trec": {"DESC": "description", "ENTY": "entity", "ABBR": "abbreviation", "HUM": "human", "NUM": "numeric",
             "LOC": "location"},
    "ag_news_subset": {"World": "World", "Sports": "Sports", "Business": "Business", "Sci/Tech": "Science/Tech"},
}  # fmt: skip
"""Class name -> answer, where the options are the same in every row."""

Choice = Callable[[Mapping[str, Any], str], str]
CHOICES: dict[str, Choice] = {
    "copa": lambda row, name: row[name],
    "piqa": lambda row, name: row[{"0": "sol1", "1": "sol2"}[name]],
    "definite_pronoun_resolution": lambda row, name: row["candidates"][int(name)],
    "winogrande": lambda row, name: row[f"option{name}"],
    "openbookqa": lambda row, name: row["question"][f"choice_{name}"],
    "cosmos_qa": lambda row, name: row[f"answer{name}"],
    "arc_easy": lambda row, name: row["choices"]["text"]["ABCDE".index(name)],
    "arc_challenge": lambda row, name: row["choices"]["text"]["ABCDE".index(name)],
}
"""(row, class name) -> the text it stands for, or that with which the option begins, where every row has its own."""

NUMBERS: dict[str, tuple[str, dict[Any, Choice | str]]] = {
    "bool_q": ("answer", {False: "no", True: "yes"}),
    "sentiment140": ("polarity", {0: "negative", 4: "positive"}),
    "stsb": ("label", {0.0: "0", 0.4: "0", 0.5: "0", 0.6: "1", 1.5: "2", 2.5: "2", 3.5: "4", 4.4: "4", 5.0: "5"}),
    "hellaswag": ("label", {1: lambda row, _: row["endings"][1], 3: lambda row, _: row["endings"][3]}),
    "story_cloze": ("label", {1: lambda row, _: row["endings"][0], 2: lambda row, _: row["endings"][1]}),
    "wsc273": ("label", {0: lambda row, _: row["option1"], 1: lambda row, _: row["option2"]}),
}
"""Field and its values where the source has no class names; what they mean is told on the sources' own pages."""

CLASSIFICATION = {name: d for name, d in catalog.datasets().items()
                  if d.benchmark == "flan2021" and d.kind == "classification"}  # fmt: skip


@pytest.fixture(scope="module")
def features() -> Callable[[str], Any]:
    tfds = importlib.import_module("tensorflow_datasets")

    def of(name: str) -> Any:
        source = CLASSIFICATION[name].source
        assert isinstance(source, Tfds)
        return tfds.builder(source.name).info.features

    return of


def rows(dataset: Dataset, **change: Any) -> list[dict[str, Any]]:
    """The dataset's made-up rows as the reader gives them (answer keys as letters' numbers), some fields changed."""
    assert isinstance(dataset.source, Tfds)
    made = [{**row, **change} for row in ROWS[dataset.source.name]]
    for row in made:
        if "choices" in row:
            row["choices"] = {**row["choices"], "label": list(range(len(row["choices"]["text"])))}
    return made


def answers(dataset: Dataset, made: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Row and answer of those that are kept.  The answer is always one of the options."""
    found = []
    for row in made:
        fields = dataset.fields(row)
        if not isinstance(fields, Drop):
            assert fields["answer"] in fields["options"]
            found.append((row, fields["answer"]))
    assert found
    return found


def test_all_thirty_seven_are_looked_at():
    assert len(CLASSIFICATION) == 37
    assert {*MEANING, *CHOICES, *NUMBERS, "record"} == {*CLASSIFICATION}


@pytest.mark.parametrize("name", [*MEANING, *CHOICES])
def test_declared_class_names_are_those_of_tfds(name: str, features):
    labels = CLASSIFICATION[name].labels
    assert labels is not None
    assert features(name)[labels.field].names == [*labels.names]


@pytest.mark.parametrize("name", [*NUMBERS, "record"])
def test_sources_without_class_names_declare_none(name: str, features):
    assert CLASSIFICATION[name].labels is None
    assert not any(hasattr(feature, "names") for feature in features(name).values())


@pytest.mark.parametrize("name", MEANING)
def test_answer_is_what_the_class_name_means(name: str, features):
    dataset = CLASSIFICATION[name]
    assert dataset.labels is not None
    feature = features(name)[dataset.labels.field]
    assert {*feature.names} == {*MEANING[name]}
    for class_name, meant in MEANING[name].items():
        for _, answer in answers(dataset, rows(dataset, **{dataset.labels.field: feature.str2int(class_name)})):
            assert answer == meant


@pytest.mark.parametrize("name", CHOICES)
def test_answer_is_the_choice_that_the_class_name_names(name: str, features):
    dataset = CLASSIFICATION[name]
    assert dataset.labels is not None
    feature = features(name)[dataset.labels.field]
    for class_name in feature.names if not name.startswith("arc") else "ABCD":
        made = rows(dataset, **{dataset.labels.field: feature.str2int(class_name)})
        for row, answer in answers(dataset, made):
            chosen = CHOICES[name](row, class_name).strip()
            assert answer.startswith(chosen) if name == "winogrande" else answer == chosen


@pytest.mark.parametrize("name", NUMBERS)
def test_answer_is_what_the_number_means(name: str):
    field, meaning = NUMBERS[name]
    for number, meant in meaning.items():
        for row, answer in answers(CLASSIFICATION[name], rows(CLASSIFICATION[name], **{field: number})):
            text = meant if isinstance(meant, str) else meant(row, "").removeprefix("[substeps] ")
            assert answer.startswith(text)


def test_record_is_answered_with_the_sentence_that_the_right_name_completes():
    dataset = CLASSIFICATION["record"]
    for row in rows(dataset):
        fields = dataset.fields(row)
        if not isinstance(fields, Drop):
            whole = " ".join(filter(None, (fields["beginning"], fields["answer"])))
            assert whole in [row["query"].replace("@placeholder", name) for name in row["answers"]]
            assert len(fields["options"]) == len(row["entities"])
