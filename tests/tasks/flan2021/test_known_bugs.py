"""The known bugs of FLAN's public release, one test for each: none is reproduced here.

The numbers are those of the list that they were collected in.  Tested elsewhere: 18 (rates of evaluation mixtures).
Not tested, for there is nothing here that it could go wrong in: 21, of the second version's code (templates changed in
place when a module is imported, separators drawn without a seed, dead tables of rates), but for the stale versions.
"""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from flan_jax.evaluation.metrics import get_metrics
from tasks import catalog
from tasks.dataset import Dataset, Drop
from tasks.templating import Template, read_templates, render

FLAN = [name for name, dataset in catalog.datasets().items() if dataset.benchmark == "flan2021"]
GROUPS = sorted({catalog.datasets()[name].template_group: name for name in reversed(FLAN)}.values())
"""The first dataset of every template group."""
CLASSIFICATION = [name for name in GROUPS if catalog.datasets()[name].kind == "classification"]
TEMPLATES = pathlib.Path(str(catalog.__file__)).parent / "templates"


def templates(name: str) -> tuple[Template, ...]:
    """The templates of a dataset or of one of its forms, such as cb_continuation."""
    dataset: Dataset = catalog.find(name)
    path = TEMPLATES / f"{dataset.template_group}.yaml"
    return read_templates(path, dataset.field_names, dataset.kind == "classification", dataset.form).templates


def fields(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that is kept."""
    made = catalog.datasets()[name].fields(row)
    assert not isinstance(made, Drop), made.reason
    return dict(made)


def dropped(name: str, row: Mapping[str, Any]) -> bool:
    return isinstance(catalog.datasets()[name].fields(row), Drop)


def texts(name: str, row: Mapping[str, Any]) -> str:
    """Everything that a template could show of a row."""
    return "\n".join(str(value) for value in fields(name, row).values())


def prompts(name: str, row: Mapping[str, Any]) -> list[str]:
    """The row under every forward template of a dataset or form."""
    made = catalog.find(name).fields(row)
    assert not isinstance(made, Drop), made.reason
    return [render(template, made)[0] for template in templates(name) if template.info.forward]


def gem(**fields: Any) -> dict[str, Any]:
    return {"gem_id": "x-train-0", "gem_parent_id": "x-train-0", "references": [], **fields}


def stsb(score: float) -> dict[str, Any]:
    return {"sentence1": "A man plays.", "sentence2": "A man is playing.", "label": np.float32(score), "idx": 0}


def inference(label: int) -> dict[str, Any]:
    return {"premise": "It rains in Rome.", "hypothesis": "it is wet in Rome", "label": label, "idx": 0}


ROWS: dict[str, Mapping[str, Any]] = {
    "rte": inference(0),
    "cb": inference(0),
    "anli_r1": {"uid": "", "context": "It rains.", "hypothesis": "It is wet.", "label": 0},
    "mnli_matched": inference(0),
    "mnli_mismatched": inference(0),
    "snli": inference(0),
    "qnli": {"question": "Does it rain?", "sentence": "It rains.", "label": 0, "idx": 0},
    "wnli": {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0, "idx": 0},
    "stsb": stsb(2.0),
    "glue_mrpc": {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0, "idx": 0},
    "glue_qqp": {"question1": "Does it rain?", "question2": "Is it wet?", "label": 0, "idx": 0},
    "paws_wiki": {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0},
    "imdb_reviews": {"text": "Good.", "label": 1},
    "sentiment140": {"date": "", "query": "", "text": "Good.", "user": "", "polarity": 4},
    "yelp_polarity_reviews": {"text": "Good.", "label": 1},
    "sst2": {"sentence": "good", "label": 1, "idx": 0},
    "wic": {"word": "a", "sentence1": "a", "sentence2": "a b", "label": 0, "idx": 0, "start1": 0, "end1": 1,
            "start2": 0, "end2": 1},
    "cola": {"sentence": "It rains.", "label": 1, "idx": 0},
    "trec": {"text": "Who ?", "label-coarse": 3, "label-fine": 3},
    "bool_q": {"title": "Rain", "passage": "It rains.", "question": "is it wet", "answer": True},
    "multirc": {"paragraph": "P.", "question": "Q?", "answer": "A", "label": 1,
                "idx": {"paragraph": 0, "question": 0, "answer": 0}},
    "wsc": {"text": "Ann saw Bea and she waved.", "span1_text": "Bea", "span2_text": "she", "span1_index": 2,
            "span2_index": 4, "label": 1, "idx": 0},
    "ag_news_subset": {"title": "Title", "description": "Description", "label": 1},
    "e2e_nlg": gem(meaning_representation="name[The Mill], food[Thai]", target="The Mill is Thai."),
    "wmt14_enfr": {"en": "Good morning.", "fr": "Bonjour."},
}  # fmt: skip
"""A row of every classification dataset whose options do not depend on the row, and two more."""


# 1. The text before the separator of the dateline was kept, the article lost.
@pytest.mark.parametrize(("before", "story"), [
    ("LONDON, England (Reuters) -- ", "Harry Potter star Daniel Radcliffe gains access to a fortune."),
    ("(CNN) -- ", "Usain Bolt rounded off the world championships on Sunday."),
    ("By . Daily Mail Reporter . PUBLISHED: . 07:26 EST, 3 January 2013 . ", "A dog has been found."),
    ("", "No dateline here -- only a dash in the middle of the sentence."),
])  # fmt: skip
def test_01_cnn_dailymail_keeps_the_article_and_not_its_dateline(before: str, story: str):
    row = {"article": before + story, "highlights": "Somebody did something .", "id": "0", "publisher": "CNN"}
    made = fields("cnn_dailymail", row)
    assert made["article"] == story and made["answer"] == "Somebody did something ."


# 2. Options were texts and the answer a number, which no scoring survived.
def test_02_stsb_is_ranked_over_text_and_scored_against_the_number():
    made = [fields("stsb", stsb(score)) for score in (0.4, 2.6, 3.8, 5.0)]
    for one in made:
        assert all(isinstance(text, str) for text in (*one["options"], one["answer"], *one["references"]))
        for template in (t for t in templates("stsb") if t.info.forward):
            _, target, options, answer, _ = render(template, one)
            assert options[answer] == target
    assert [one["references"] for one in made] == [("0.4",), ("2.6",), ("3.8",), ("5",)]
    for metric in get_metrics(catalog.datasets()["stsb"].metrics):
        rows = metric.statistics([one["answer"] for one in made], [one["references"] for one in made])
        assert 95 < metric.score(rows.sum(axis=0)) <= 100.000001


RECORD = {
    "passage": "Anna met Ben in Oslo.\n@highlight\nAnna is a painter\n@highlight\nBen sells boats",
    "query": "Later @placeholder sold his boats in the harbour.",
    "entities": ["Anna", "Ben", "Benny", "Oslo"], "answers": ["Ben", "Benny"], "idx": {"passage": 0, "query": 0},
}  # fmt: skip


# 3. The metric wanted another form of answers than the tasks gave, and raised.
def test_03_record_scores_the_best_of_its_right_answers():
    made = fields("record", RECORD)
    assert set(made["references"]) <= set(made["options"]) and made["answer"] in made["references"]
    assert len(made["references"]) == 2
    primary = get_metrics(catalog.datasets()["record"].metrics)[0]
    right, other, wrong = made["references"][0], made["references"][1], made["options"][0]

    def score(prediction: str) -> float:
        statistics = primary.statistics([prediction], [made["references"]], [made[primary.field]])
        return float(primary.score(statistics.sum(axis=0)))

    assert score(right) == score(other) == 100
    assert score(wrong) == 0


# 4. The three classes reached the metric as texts, so F1 was always 0.
def test_04_cb_has_an_f1_over_its_three_classes():
    metric = next(m for m in get_metrics(catalog.datasets()["cb"].metrics) if m.name == "macro_f1")
    made = [fields("cb", inference(label)) for label in (0, 1, 2)]
    right = np.array([one["options"].index(one["answer"]) for one in made])
    assert metric.score(metric.statistics(right, right).sum(axis=0)) == 100
    swapped = metric.statistics(np.array([right[0], right[2], right[1]]), right)
    assert metric.score(swapped.sum(axis=0)) == pytest.approx(100 / 3)


# 5. The words of the baseline were in the order of another dataset: contradiction and neutral were swapped.
def test_05_the_baseline_of_cb_says_false_for_a_contradiction():
    meanings = {0: {"true", "yes", "right"}, 1: {"false", "no", "wrong"}}
    for template in templates("cb_continuation"):
        said = [render(template, fields("cb", inference(label)))[1].strip(" .").lower() for label in range(3)]
        assert said[0] in meanings[0] and said[1] in meanings[1]
        assert said[2] not in meanings[0] | meanings[1]


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_05_words_of_the_baseline_belong_to_options(name: str):
    for template in templates(f"{name}_continuation"):
        if template.words:
            assert set(template.words) <= set(fields(name, ROWS[name])["options"])


# 6. Neutral tweets became negative ones.
def test_06_sentiment140_drops_neutral_tweets():
    row = {"date": "", "query": "", "text": "at the bus stop", "user": "a"}
    assert dropped("sentiment140", {**row, "polarity": 2})
    assert fields("sentiment140", {**row, "polarity": 0})["answer"] == "negative"
    assert fields("sentiment140", {**row, "polarity": 4})["answer"] == "positive"


# 7. The index of the reply was filled with that of the question.
def test_07_multirc_groups_replies_by_paragraph_and_question():
    def question(paragraph: int, number: int, reply: int) -> str:
        idx = {"paragraph": paragraph, "question": number, "answer": reply}
        row = {"paragraph": "P.", "question": "Q?", "answer": "A", "label": 1, "idx": idx}
        return fields("multirc", row)["question_id"]

    assert question(3, 1, 0) == question(3, 1, 4)
    assert len({question(3, 1, 0), question(3, 2, 0), question(4, 1, 0), question(31, 1, 0), question(3, 11, 0)}) == 5


# 8. Two of the baselines were the same tasks under two names.
@pytest.mark.parametrize("name", ["rte", "e2e_nlg", "wmt14_enfr"])
def test_08_forms_of_a_dataset_ask_in_different_ways(name: str):
    row = ROWS[name]
    plain, continued = prompts(f"{name}_plain", row), prompts(f"{name}_continuation", row)
    asked = [*prompts(name, row), *plain, *continued]
    assert len(set(asked)) == len(asked)
    assert catalog.find(f"{name}_named").prefix and not catalog.find(f"{name}_plain").prefix


# 9. What was no letter at the beginning of a prediction was cut off: a year as answer became empty.
@pytest.mark.parametrize("answer", ["1945", "3.5 million", "$20", "50 Cent"])
@pytest.mark.parametrize("name", ["natural_questions", "trivia_qa", "squad_v1", "drop"])
def test_09_answers_that_begin_with_a_digit_are_scored_whole(name: str, answer: str):
    for metric in get_metrics(catalog.datasets()[name].metrics):
        same = metric.statistics([answer], [[answer]]).sum(axis=0)
        other = metric.statistics(["1944" if answer == "1945" else "17"], [[answer]]).sum(axis=0)
        assert metric.score(same) == 100 and metric.score(other) == 0, metric.name


# 10. An "n", left over from a line break, stood in front of hypotheses.
@pytest.mark.parametrize("form", ["", "_plain", "_continuation"])
@pytest.mark.parametrize("name", GROUPS)
def test_10_no_letter_is_glued_to_a_field(name: str, form: str):
    for template in templates(name + form):
        for pattern in (template.inputs, template.targets):
            for before in pattern.pieces[:-1:2]:
                assert not before[-1:].isalnum(), f"template {template.info.index}: {before[-30:]!r}"
            for field, after in zip(pattern.names, pattern.pieces[2::2], strict=True):
                own_line = (name, field) == ("openbookqa", "fact")  # a whole line, or nothing
                assert own_line or not after[:1].isalnum(), f"template {template.info.index}: {after[:30]!r}"
        assert "\\n" not in "".join(template.inputs.pieces[::2])


PREMISE_FIRST = {
    "snli": ("premise", "hypothesis"), "mnli_matched": ("premise", "hypothesis"), "rte": ("premise", "hypothesis"),
    "cb": ("premise", "hypothesis"), "anli_r1": ("premise", "hypothesis"), "wnli": ("sentence1", "sentence2"),
}  # fmt: skip
SAID_OF_A_PREMISE = re.compile(r"\b(premise|passage|caption|description|excerpt|evidence|source|context)\b", re.I)
SAID_OF_A_HYPOTHESIS = re.compile(r"\b(hypothesis|claim|conclusion|statement|remark|true|judged)\b", re.I)


# 11. In two templates of SNLI the premise stood where the hypothesis belongs, the label as before.
@pytest.mark.parametrize("name", PREMISE_FIRST)
def test_11_premise_and_hypothesis_stand_where_their_names_say(name: str):
    """Words of the line that a field stands in, as far as the field, and of the line before if that is all."""
    premise, hypothesis = PREMISE_FIRST[name]
    for template in templates(name):
        assert {premise, hypothesis} <= {*template.inputs.names} or not template.info.forward
        for literal, field in zip(template.inputs.pieces[::2], template.inputs.names, strict=False):
            label = literal.rsplit("\n", 1)[-1]
            wrong = {premise: SAID_OF_A_HYPOTHESIS, hypothesis: SAID_OF_A_PREMISE}.get(field)
            if template.info.forward and wrong and label.rstrip().endswith(":"):
                own = SAID_OF_A_PREMISE if field == premise else SAID_OF_A_HYPOTHESIS
                assert own.search(label) or not wrong.search(label), f"template {template.info.index}: {label!r}"


# 12. Wording: a prompt that asks for what is not its target, a reference in the wrong direction, doubled templates,
# question marks and instructions, missing options, questions whose answer is no option.
@pytest.mark.parametrize("name", GROUPS)
def test_12_targets_are_what_the_kind_of_template_says(name: str):
    both_ways = catalog.datasets()[name].cluster == "translation"
    for template in templates(name):
        targets = {*template.targets.names}
        if template.info.forward:
            assert targets == {"answer"} or (both_ways and targets in ({"source_text"}, {"target_text"}))
        else:
            assert targets != {"answer"}, f"template {template.info.index} is turned around, yet asks for the answer"


POINTS = re.compile(r"\b(?:(below|following|follows)|(above|preceding))\b(?! (?:all|an?|each|every|it|the)\b)")
"""Words that point at a text; "above each report" does not."""


@pytest.mark.parametrize("name", GROUPS)
def test_12_above_and_below_point_at_something(name: str):
    for template in templates(name):
        literals = template.inputs.pieces[::2]
        for i, literal in enumerate(literals):
            for word in POINTS.finditer(literal):
                there = i < len(literals) - 1 if word.group(1) else i > 0
                assert there, f"template {template.info.index}: {word.group()!r}, but no field is there"


@pytest.mark.parametrize("name", GROUPS)
def test_12_no_two_templates_of_a_group_say_the_same(name: str):
    said = [re.sub(r"[\W_]+", " ", "{}".join(t.inputs.pieces[::2]).lower()).strip() for t in templates(name)]
    bare = [i for i, text in enumerate(said) if not text]
    assert len({text for text in said if text}) == len(said) - len(bare)
    assert len(bare) <= 1, f"templates {bare} have no words of their own"


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_12_every_forward_template_of_a_classification_shows_the_options(name: str):
    for template in templates(name):
        assert ("options" in template.inputs.names) == template.info.forward, f"template {template.info.index}"
        assert template.inputs.names.count("options") <= 1


@pytest.mark.parametrize("question", ["who won the cup in 1990", "who won the cup in 1990?", "who won the cup ??"])
def test_12_questions_end_in_one_question_mark(question: str):
    for prompt in prompts("natural_questions", {"question": question, "answer": ["Germany"]}):
        assert prompt.count("cup in 1990?") + prompt.count("cup?") == 1
        assert not re.search(r"\?\s*\?", prompt)


def test_12_wic_answers_yes_and_no_to_yes_or_no_questions():
    row = {"word": "bank", "sentence1": "A river bank.", "sentence2": "A savings bank.", "idx": 0,
           "start1": 8, "end1": 12, "start2": 10, "end2": 14}  # fmt: skip
    assert [fields("wic", {**row, "label": label})["answer"] for label in (0, 1)] == ["no", "yes"]
    for prompt in prompts("wic", {**row, "label": 0}):
        assert "OPTIONS:\n- no\n- yes" in prompt


def test_12_forward_templates_of_ag_news_ask_for_the_topic():
    for template in templates("ag_news_subset"):
        wanted = {*template.targets.names}
        assert ("title" in wanted) == (not template.info.forward and "description" not in wanted)
        assert not (template.info.forward and re.search(r"(title|headline)\W*$", template.inputs.pieces[-1], re.I))


# 13. Filters that looked for a name among the row's fields, and so let everything pass.
@pytest.mark.parametrize(("name", "row"), [
    ("trivia_qa", {"question": "Who?", "question_id": "0", "answer": {
        "aliases": [], "normalized_aliases": [], "normalized_value": "", "value": "", "type": ""}}),
    ("multi_news", {"document": "", "summary": "A summary."}),
    ("multi_news", {"document": "An article. ||||| Another.", "summary": " "}),
    ("ag_news_subset", {"title": "Title", "description": "", "label": 1}),
    ("ag_news_subset", {"title": "Title", "description": "Description", "label": -1}),
    ("yelp_polarity_reviews", {"text": "", "label": 0}),
    ("cosmos_qa", {"id": "", "context": "C.", "question": "Q?", "label": -1,
                   **{f"answer{i}": f"choice {i}" for i in range(4)}}),
    ("cosmos_qa", {"id": "", "context": "C.", "question": "Q?", "label": 1,
                   **{f"answer{i}": "choice" * (i != 2) for i in range(4)}}),
])  # fmt: skip
def test_13_rows_that_cannot_be_asked_are_dropped(name: str, row: Mapping[str, Any]):
    assert dropped(name, row)


PARAGRAPH = {"en": "“Élodie” — a naïve café owner, Łukasz's friend — said: ¿qué? 3 × 4!", "da": "Ukendt."}


# 14. Letters with accents were deleted, or kept their case.
def test_14_letters_of_every_alphabet_stay_letters():
    made = fields("fix_punct", PARAGRAPH)
    assert made["answer"] == PARAGRAPH["en"]
    letters = [c for c in PARAGRAPH["en"] if c.isalnum()]
    assert [c for c in made["unpunctuated"] if c.isalnum()] == letters
    assert not set("“”—,:¿?!'") & set(made["unpunctuated"])
    made = fields("true_case", PARAGRAPH)
    assert made["answer"] == PARAGRAPH["en"] and made["lower_case"] == PARAGRAPH["en"].lower()
    assert "élodie" in made["lower_case"] and "łukasz" in made["lower_case"]
    assert dropped("true_case", {"en": "naïve café", "da": ""})
    assert dropped("fix_punct", {"en": "naïve café", "da": ""})


DART = gem(
    dart_id=0, subtree_was_extended=True, target_sources=["WikiTableQuestions_lily"],
    tripleset=["[TABLECONTEXT] [TITLE] Eardrum (album)", "[TABLECONTEXT] NUMBER 2", "2 TITLE NY [a ] Report"],
    target="NY Report is the second song.",
)  # fmt: skip


# 15. Markers of table cells stayed in one of two variants; a greedy pattern ate what stood between two marks.
def test_15_dart_has_no_cell_markers_in_any_variant():
    assert "TABLECONTEXT" not in texts("dart", DART) and "[TITLE]" not in texts("dart", DART)
    made = fields("dart", DART)
    assert made["triples_by_line"] == "TITLE Eardrum (album)\nNUMBER 2\n2 TITLE NY [a ] Report"
    assert made["triples"] == made["triples_by_line"].replace("\n", "; ")
    for form in ("", "_plain", "_continuation"):
        for prompt in prompts(f"dart{form}", DART):
            assert "[TABLECONTEXT]" not in prompt and "NY [a ] Report" in prompt


def test_15_samsum_keeps_what_stands_between_two_marks():
    dialogue = "Amy: <file_photo> Look <3 at 5 > 4 <file_gif>\r\nBo: Oh"
    row = {"id": "0", "summary": "Amy sends photos.", "dialogue": dialogue}
    made = fields("samsum", row)
    assert "file_" not in made["dialogue"] and "Look <3 at 5 > 4" in made["dialogue"]
    assert made["dialogue"].endswith("\nBo: Oh") and "\r" not in made["dialogue"]


# 16. CANNOTANSWER, a marker, was learned as an answer.
def test_16_quac_neither_shows_nor_asks_for_its_marker():
    def row(answer: str) -> dict[str, Any]:
        return {
            "answers": {"answer_start": [0, 20], "text": [answer, "CANNOTANSWER"]},
            "orig_answer": {"answer_start": 0, "text": answer}, "background": "Ada was a writer.",
            "context": "She was born in 1815. CANNOTANSWER", "followup": "m", "question": "When was she born?",
            "section_title": "Life", "title": "Ada", "yesno": "x",
        }  # fmt: skip

    assert dropped("quac", row("CANNOTANSWER"))
    assert "CANNOTANSWER" not in texts("quac", row("in 1815"))
    assert fields("quac", row("in 1815"))["references"] == ("in 1815",)


# 17. MNLI's training rows were counted twice.
def test_17_rows_that_two_tasks_share_are_trained_on_once():
    assert catalog.datasets()["mnli_mismatched"].same_rows_as == "mnli_matched"
    mixtures = catalog.mixtures()
    for mixture in mixtures.values():
        if mixture.name.startswith("flan2021") and not mixture.name.endswith("_released"):
            assert not {"mnli_matched", "mnli_mismatched"} <= {*mixture.train}, mixture.name
    assert {"mnli_matched", "mnli_mismatched"} <= {*mixtures["flan2021_released"].train}
    assert {"mnli_matched", "mnli_mismatched"} <= {*mixtures["flan2021"].evaluate}


# 19. Few-shot tasks existed for a dataset without training rows.
def test_19_nothing_is_drawn_from_a_train_split_that_is_not_there():
    assert set(catalog.datasets()["wsc273"].splits) == {"test"}
    for mixture in catalog.mixtures().values():
        for name in mixture.train:
            assert "train" in catalog.find(name).splits, f"{mixture.name} trains on {name}"


# 20. More than three of ten templates were turned around.
@pytest.mark.parametrize("name", GROUPS)
def test_20_at_most_three_of_ten_templates_are_turned_around(name: str):
    found = templates(name)
    assert len(found) == 10 and sum(not template.info.forward for template in found) <= 3


# 21, the part about versions.  Names that no TFDS offers any more, or that need the network to resolve.
def test_21_sources_name_a_version_that_exists():
    sources = {name: catalog.datasets()[name].source.name for name in FLAN}
    assert sources["multi_news"] == "multi_news:2.1.0" and sources["winogrande"] == "winogrande:1.2.0"
    assert sources["cnn_dailymail"] == "cnn_dailymail:3.4.0" and sources["xsum"] == "xsum:1.1.0"
    wanted = re.compile(r"[a-z0-9_]+(/[A-Za-z0-9_-]+)?:\d+\.\d+\.\d+|squad/v\d\.\d:3\.0\.0")
    assert all(wanted.fullmatch(source) for source in sources.values())
