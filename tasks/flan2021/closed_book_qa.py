"""Closed-book question answering: answer from what is known, without a text.  FLAN 2021, cluster 6 of 12."""

from ..dataset import Dataset, Drop, Fields, Row, Tfds
from ..splits import held_out_labels


def _natural_questions(x: Row) -> Fields | Drop:
    """Questions come as search queries without a question mark; they get exactly one, and templates add none."""
    answers = tuple(dict.fromkeys(x["answer"]))
    if not answers:
        return Drop("no answer")
    question = x["question"].rstrip(" ?") + "?"
    return {"question": question, "answer": answers[0], "references": answers}


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
    template_group="natural_questions",
)

DATASETS = (NATURAL_QUESTIONS,)
