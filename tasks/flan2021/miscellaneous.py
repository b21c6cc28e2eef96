"""Miscellaneous: equations, conversations, word senses, grammar, text repair.  FLAN 2021, cluster 11 of 12.

The paper's seven are CoQA, QuAC, WiC, Math, Fix-Punctuation, TREC and CoLA; FLAN's release adds true_case and
word_segment.
"""

import unicodedata

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import CAP, VALIDATION, Rows, held_out_labels

NO_ANSWER_MARKER = "CANNOTANSWER"
"""Stands at the end of every QuAC context and, where the teacher had no answer, in its place."""

ENGLISH_OF_PARACRAWL = Tfds("para_crawl/enda:1.2.0")
TEXT_REPAIR_TEST = 3_000
TEXT_REPAIR_ROWS = 3 * (CAP + VALIDATION) + TEXT_REPAIR_TEST
"""What the three text repair tasks take of ParaCrawl's rows; of a smaller directory they take the same shares."""


def _text_repair_splits(place: int) -> dict[str, Rows]:
    """Train and validation of the three tasks follow each other in ParaCrawl; all are tested on its last rows."""
    start = place * (CAP + VALIDATION)
    middle, stop = start + CAP, start + CAP + VALIDATION
    return {
        "train": Rows("train", start, middle, of=TEXT_REPAIR_ROWS),
        "validation": Rows("train", middle, stop, of=TEXT_REPAIR_ROWS),
        "test": Rows("train", -TEXT_REPAIR_TEST, of=TEXT_REPAIR_ROWS),
    }


def _math_dataset(x: Row) -> Fields | Drop:
    if not x["question"].strip() or not x["answer"].strip():
        return Drop("empty text")
    return {"question": x["question"], "answer": x["answer"]}


def _quac(x: Row) -> Fields | Drop:
    """All annotators' answers are references; the one that the student of the conversation got is learned."""
    answer = x["orig_answer"]["text"]
    if answer == NO_ANSWER_MARKER or not answer.strip():
        return Drop("no answer")
    context = x["context"].replace(NO_ANSWER_MARKER, "").rstrip()
    if not context.strip() or not x["question"].strip():
        return Drop("empty text")
    others = (text for text in x["answers"]["text"] if text != NO_ANSWER_MARKER and text.strip())
    return {
        "title": x["title"],
        "section_title": x["section_title"],
        "background": x["background"],
        "context": context,
        "question": x["question"],
        "answer": answer,
        "references": tuple(dict.fromkeys((answer, *others))),
    }


def _coqa(x: Row) -> Fields | Drop:
    """Questions beyond the last answer, should there be any, are not asked."""
    turns = list(zip(x["questions"], x["answers"]["input_text"], strict=False))
    questions, answers = [question for question, _ in turns], [answer for _, answer in turns]
    if not x["story"].strip():
        return Drop("empty text")
    if not any(map(str.strip, questions)) or not any(map(str.strip, answers)):
        return Drop("no question or no answer")
    return {"story": x["story"], "questions": _numbered(questions), "answer": _numbered(answers)}


def _numbered(turns: list[str]) -> str:
    """A line for each turn, so line breaks within a turn become spaces."""
    return "\n".join(f"{i}. {' '.join(turn.split())}".rstrip() for i, turn in enumerate(turns, start=1))


def _wic(x: Row) -> Fields | Drop:
    if x["label"] < 0:
        return Drop("no label")
    return {
        "word": x["word"],
        "sentence1": x["sentence1"],
        "sentence2": x["sentence2"],
        **choice(("no", "yes"), x["label"]),
    }


def _cola(x: Row) -> Fields | Drop:
    if x["label"] < 0:
        return Drop("no label")
    if not x["sentence"].strip():
        return Drop("empty text")
    return {"sentence": x["sentence"], **choice(("unacceptable", "acceptable"), x["label"])}


def _trec(x: Row) -> Fields | Drop:
    if not x["text"].strip():
        return Drop("empty text")
    kinds = ("description", "entity", "abbreviation", "human", "numeric", "location")
    return {"text": x["text"], **choice(kinds, x["label-coarse"])}


def _true_case(x: Row) -> Fields | Drop:
    text = x["en"]
    lower_case = text.lower()
    if not text.strip():
        return Drop("empty text")
    if lower_case == text:
        return Drop("no capital letter")
    return {"lower_case": lower_case, "answer": text}


def _fix_punct(x: Row) -> Fields | Drop:
    """Unicode's punctuation goes, also inside words; letters of any script, digits and symbols such as $ or + stay.

    Runs of spaces become one: "now - or never" must not show by two spaces where the dash was.
    """
    text = x["en"]
    if not text.strip():
        return Drop("empty text")
    kept = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    if kept == text:
        return Drop("no punctuation")
    unpunctuated = " ".join(kept.split())
    if not unpunctuated:
        return Drop("nothing but punctuation")
    return {"unpunctuated": unpunctuated, "answer": text}


def _word_segment(x: Row) -> Fields | Drop:
    words = x["en"].split()
    if not words:
        return Drop("empty text")
    if len(words) == 1:
        return Drop("no space")
    return {"unspaced": "".join(words), "answer": x["en"]}


MATH_DATASET = Dataset(
    name="math_dataset",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("math_dataset/algebra__linear_1d:1.0.0"),
    splits=held_out_labels(test="test"),
    fields=_math_dataset,
    field_names=("question",),
    kind="generation",
    metrics=("exact_match",),
    licence="Apache-2.0",
    citation="Saxton et al. 2019",
    template_group="flan2021/math_dataset",
    caveats="Only linear equations in one unknown, one of the many modules of the Mathematics dataset.",
)

QUAC = Dataset(
    name="quac",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("quac:1.0.0"),
    splits=held_out_labels(),
    fields=_quac,
    field_names=("title", "section_title", "background", "context", "question"),
    kind="generation",
    metrics=("trivia_qa",),
    licence="CC BY-SA 4.0",
    citation="Choi et al. 2018",
    template_group="flan2021/quac",
    caveats="The questions come from conversations whose earlier turns are not shown, so some cannot be understood "
    "alone. Questions that the text does not answer are left out.",
)

COQA = Dataset(
    name="coqa",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("coqa:1.0.0"),
    splits=held_out_labels(validation=100, test="test"),
    fields=_coqa,
    field_names=("story", "questions"),
    kind="generation",
    metrics=("squad",),
    licence="CC BY-SA 4.0 (literature, Wikipedia), MSR-LA (stories), RACE's and CNN's terms (exams, news)",
    citation="Reddy et al. 2019",
    template_group="flan2021/coqa",
    caveats="All questions of a conversation are asked and answered at once, as numbered lines, and scored as one "
    "answer: figures cannot be compared with CoQA's own turn by turn score. The test is the official development set.",
)

WIC = Dataset(
    name="wic",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("super_glue/wic:1.0.2"),
    splits=held_out_labels(),
    fields=_wic,
    field_names=("word", "sentence1", "sentence2"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY-NC 4.0",
    citation="Pilehvar and Camacho-Collados 2019 (SuperGLUE)",
    template_group="flan2021/wic",
    labels=Labels("label", ("False", "True")),
    caveats="The word is given in its base form; the sentences may hold it inflected.",
)

COLA = Dataset(
    name="cola",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("glue/cola:2.0.0"),
    splits=held_out_labels(),
    fields=_cola,
    field_names=("sentence",),
    kind="classification",
    metrics=("accuracy", "mcc"),
    licence="no explicit licence; examples from linguistic publications, for research",
    citation="Warstadt et al. 2019 (GLUE)",
    template_group="flan2021/cola",
    labels=Labels("label", ("unacceptable", "acceptable")),
    caveats="About 70% of the sentences are acceptable, so accuracy flatters a model that always says so.",
)

TREC = Dataset(
    name="trec",
    cluster="misc",
    benchmark="flan2021",
    source=Tfds("trec:1.0.0"),
    splits=held_out_labels(test="test"),
    fields=_trec,
    field_names=("text",),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence",
    citation="Li and Roth 2002; Hovy et al. 2001",
    template_group="flan2021/trec",
    labels=Labels("label-coarse", ("DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC")),
    caveats="The questions are tokenised: a space stands before the question mark.",
)

TRUE_CASE = Dataset(
    name="true_case",
    cluster="misc",
    benchmark="flan2021",
    source=ENGLISH_OF_PARACRAWL,
    splits=_text_repair_splits(0),
    fields=_true_case,
    field_names=("lower_case",),
    kind="generation",
    metrics=("edit_similarity",),
    licence="CC0 (ParaCrawl's packaging; the web pages belong to their owners)",
    citation="Bañón et al. 2020 (ParaCrawl)",
    template_group="flan2021/true_case",
    caveats="In FLAN's release but not among the paper's datasets. Web text; fix_punct and word_segment are tested on "
    "the same rows.",
)

FIX_PUNCT = Dataset(
    name="fix_punct",
    cluster="misc",
    benchmark="flan2021",
    source=ENGLISH_OF_PARACRAWL,
    splits=_text_repair_splits(1),
    fields=_fix_punct,
    field_names=("unpunctuated",),
    kind="generation",
    metrics=("edit_similarity",),
    licence="CC0 (ParaCrawl's packaging; the web pages belong to their owners)",
    citation="Bañón et al. 2020 (ParaCrawl)",
    template_group="flan2021/fix_punct",
    caveats="Marks inside words and numbers go too, so that a decimal point (35 for 3.5) can only be guessed. "
    "Web text; true_case and word_segment are tested on the same rows.",
)

WORD_SEGMENT = Dataset(
    name="word_segment",
    cluster="misc",
    benchmark="flan2021",
    source=ENGLISH_OF_PARACRAWL,
    splits=_text_repair_splits(2),
    fields=_word_segment,
    field_names=("unspaced",),
    kind="generation",
    metrics=("edit_similarity",),
    licence="CC0 (ParaCrawl's packaging; the web pages belong to their owners)",
    citation="Bañón et al. 2020 (ParaCrawl)",
    template_group="flan2021/word_segment",
    caveats="In FLAN's release but not among the paper's datasets. Web text; true_case and fix_punct are tested on the "
    "same rows.",
)

DATASETS = (MATH_DATASET, QUAC, COQA, WIC, COLA, TREC, TRUE_CASE, FIX_PUNCT, WORD_SEGMENT)
