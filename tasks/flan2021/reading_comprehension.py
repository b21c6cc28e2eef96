"""Reading comprehension: answer a question from a passage.  FLAN 2021, cluster 2 of 12."""

from urllib.parse import unquote

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import held_out_labels, official

UNANSWERABLE = "unanswerable"


def _article(x: Row) -> dict[str, str]:
    """Titles are the ends of Wikipedia addresses."""
    return {
        "title": unquote(x["title"]).replace("_", " "),
        "context": x["context"],
        "question": x["question"].strip(),
    }


def _squad_v1(x: Row) -> Fields | Drop:
    """All annotators' answers are references, the first is learned."""
    answers = tuple(dict.fromkeys(x["answers"]["text"]))
    if not answers:
        return Drop("no answer")
    return {**_article(x), "answer": answers[0], "references": answers}


def _squad_v2(x: Row) -> Fields | Drop:
    """As version 1; what the article does not answer is answered "unanswerable", as the templates ask for."""
    answers = (UNANSWERABLE,) if x["is_impossible"] else tuple(dict.fromkeys(x["answers"]["text"]))
    if not answers:
        return Drop("no answer")
    return {**_article(x), "answer": answers[0], "references": answers}


def _drop(x: Row) -> Fields | Drop:
    """The answer is learned; what further annotators answered (development split only) are references beside it."""
    answers = tuple(answer for answer in dict.fromkeys((x["answer"], *x["validated_answers"])) if answer.strip())
    if not x["answer"].strip():
        return Drop("no answer")
    return {
        "passage": x["passage"].strip(),
        "question": x["question"].strip(),
        "answer": x["answer"],
        "references": answers,
    }


def _multirc(x: Row) -> Fields | Drop:
    """One row judges one reply.  `question_id` tells which rows belong to one question: it stands in the text layer's
    `fields`, for whoever scores questions as a whole."""
    if x["label"] < 0:
        return Drop("no label")
    return {
        "paragraph": x["paragraph"].strip(),
        "question": x["question"].strip(),
        "response": x["answer"].strip(),
        "question_id": f"{x['idx']['paragraph']}-{x['idx']['question']}",
        **choice(("no", "yes"), x["label"]),
    }


def _openbookqa(x: Row) -> Fields | Drop:
    """The fact from the "open book" is a line with its line end, or nothing where it is not known: templates write
    `{fact}{question}`, so that no gap is left."""
    options = tuple(x["question"][f"choice_{letter}"].strip() for letter in "ABCD")
    if not all(options):
        return Drop("fewer than 4 options")
    if x["answerKey"] < 0:
        return Drop("no label")
    fact = x["fact1"].strip()
    return {
        "fact": f"{fact}\n" if fact else "",
        "question": x["question"]["stem"].strip(),
        **choice(options, x["answerKey"]),
    }


def _bool_q(x: Row) -> Fields:
    """Questions come as search queries without a question mark; they get exactly one, and templates add none."""
    return {
        "title": x["title"].strip(),
        "passage": x["passage"].strip(),
        "question": x["question"].strip().rstrip(" ?") + "?",
        **choice(("no", "yes"), int(x["answer"])),
    }


SQUAD_V1 = Dataset(
    name="squad_v1",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("squad/v1.1:3.0.0"),
    splits=held_out_labels(),
    fields=_squad_v1,
    field_names=("title", "context", "question"),
    kind="generation",
    metrics=("squad",),
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016",
    template_group="flan2021/squad_v1",
    family="squad",
    rows_within="squad_v2",
)

SQUAD_V2 = Dataset(
    name="squad_v2",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("squad/v2.0:3.0.0"),
    splits=held_out_labels(),
    fields=_squad_v2,
    field_names=("title", "context", "question"),
    kind="generation",
    metrics=("squad_v2",),
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2018",
    template_group="flan2021/squad_v2",
    family="squad",
    caveats='A question without an answer is right when the model writes "unanswerable", or nothing.',
)

DROP = Dataset(
    name="drop",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("drop:2.0.0"),
    splits=held_out_labels(test="dev"),
    fields=_drop,
    field_names=("passage", "question"),
    kind="generation",
    metrics=("squad", "drop"),
    licence="CC BY-SA 4.0",
    citation="Dua et al. 2019",
    template_group="flan2021/drop",
    caveats="Scored with SQuAD's F1, as FLAN does, against the answers of all annotators, and with DROP's own beside "
    "it, which treats numbers apart. TFDS keeps the first of several spans, and no date without a day.",
)

MULTIRC = Dataset(
    name="multirc",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("super_glue/multirc:1.0.2"),
    splits=held_out_labels(),
    fields=_multirc,
    field_names=("paragraph", "question", "response"),
    kind="classification",
    metrics=("multirc", "accuracy"),
    labels=Labels("label", ("False", "True")),
    licence="no explicit licence; SuperGLUE: research use",
    citation="Khashabi et al. 2018 (SuperGLUE)",
    template_group="flan2021/multirc",
    caveats="An example is one reply to a question; several replies to a question may be right. Its f1 is SuperGLUE's "
    "F1a, over all replies, and multirc_em SuperGLUE's exact match, of all replies to a question. Where only some "
    "examples are asked, a question's replies may be cut. The last rows of train are the validation, so the paragraph "
    "at the boundary may occur in both.",
)

OPENBOOKQA = Dataset(
    name="openbookqa",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("openbookqa:0.1.0"),
    splits=official(),
    fields=_openbookqa,
    field_names=("fact", "question"),
    kind="classification",
    metrics=("accuracy",),
    labels=Labels("answerKey", ("A", "B", "C", "D")),
    licence="Apache-2.0",
    citation="Mihaylov et al. 2018",
    template_group="flan2021/openbookqa",
    caveats="Prompts show the fact that the question was written from, as in FLAN, which makes it easier than the "
    "task of finding the fact first.",
)

BOOL_Q = Dataset(
    name="bool_q",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("bool_q:1.0.0"),
    splits=held_out_labels(),
    fields=_bool_q,
    field_names=("title", "passage", "question"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY-SA 3.0",
    citation="Clark et al. 2019",
    template_group="flan2021/bool_q",
)

DATASETS = (SQUAD_V1, SQUAD_V2, DROP, MULTIRC, OPENBOOKQA, BOOL_Q)
