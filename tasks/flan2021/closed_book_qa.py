"""Closed-book question answering: answer from what is known, without a text.  FLAN 2021, cluster 6 of 12."""

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds
from ..splits import held_out_labels


def _trivia_qa(x: Row) -> Fields | Drop:
    """The answer in TriviaQA's normal form (lower case, no articles or punctuation) is learned; aliases count too."""
    answer = x["answer"]["normalized_value"].strip()
    if answer in ("", "<unk>"):  # the official test split
        return Drop("no answer")
    references = tuple(alias for alias in (answer, *x["answer"]["normalized_aliases"]) if alias.strip())
    return {"question": x["question"].strip(), "answer": answer, "references": tuple(dict.fromkeys(references))}


def _natural_questions(x: Row) -> Fields | Drop:
    """Questions come as search queries without a question mark; they get exactly one, and templates add none."""
    answers = tuple(dict.fromkeys(x["answer"]))
    if not answers:
        return Drop("no answer")
    question = x["question"].rstrip(" ?") + "?"
    return {"question": question, "answer": answers[0], "references": answers}


def _arc(x: Row) -> Fields | Drop:
    """Questions with four choices only, as in FLAN: a few have three or five."""
    options = tuple(text.strip() for text in x["choices"]["text"])
    if len(options) != 4 or not all(options):
        return Drop("other than 4 options")
    if x["answerKey"] not in x["choices"]["label"]:
        return Drop("no label")
    answer = options[x["choices"]["label"].index(x["answerKey"])]
    return {"question": x["question"].strip(), "options": options, "answer": answer}


TRIVIA_QA = Dataset(
    name="trivia_qa",
    cluster="closed_book_qa",
    benchmark="flan2021",
    source=Tfds("trivia_qa/rc:1.1.0"),
    splits=held_out_labels(),
    fields=_trivia_qa,
    field_names=("question",),
    kind="generation",
    metrics=("trivia_qa",),
    licence="no explicit licence for the questions; code Apache-2.0",
    citation="Joshi et al. 2017",
    template_group="flan2021/trivia_qa",
    caveats="Answers are learned in TriviaQA's normal form, in lower case. The evidence documents are downloaded with "
    "this configuration and not used.",
)

NATURAL_QUESTIONS = Dataset(
    name="natural_questions",
    cluster="closed_book_qa",
    benchmark="flan2021",
    source=Tfds("natural_questions_open:1.0.0"),
    splits=held_out_labels(),
    fields=_natural_questions,
    field_names=("question",),
    kind="generation",
    metrics=("trivia_qa",),
    licence="CC BY-SA 3.0",
    citation="Kwiatkowski et al. 2019; Lee et al. 2019",
    template_group="flan2021/natural_questions",
)


def _arc_dataset(name: str, configuration: str) -> Dataset:
    return Dataset(
        name=name,
        cluster="closed_book_qa",
        benchmark="flan2021",
        source=Tfds(f"ai2_arc/{configuration}:1.0.0"),
        splits=held_out_labels(test="test"),
        fields=_arc,
        field_names=("question",),
        kind="classification",
        metrics=("accuracy",),
        labels=Labels("answerKey", ("A", "B", "C", "D", "E")),
        licence="CC BY-SA 4.0",
        citation="Clark et al. 2018",
        template_group="flan2021/arc",
        family="arc",
        caveats="The validation rows are the last 200 of train, as in FLAN; the official validation is not used.",
    )


ARC_CHALLENGE = _arc_dataset("arc_challenge", "ARC-Challenge")
ARC_EASY = _arc_dataset("arc_easy", "ARC-Easy")

DATASETS = (TRIVIA_QA, NATURAL_QUESTIONS, ARC_CHALLENGE, ARC_EASY)
