"""Coreference: what does a pronoun, or a gap, stand for?  FLAN 2021, cluster 9 of 12."""

import re

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice, told_choice
from ..splits import Rows, held_out_labels

_GAP = re.compile(r"_+")


def _definite_pronoun_resolution(x: Row) -> Fields | Drop:
    chosen = told_choice(x["candidates"], x["label"])
    if isinstance(chosen, Drop):
        return chosen
    return {"sentence": x["sentence"].strip(), "pronoun": x["pronoun"].strip(), **chosen}


def _winogrande(x: Row) -> Fields | Drop:
    """`context` ends at the gap, options go on from it to the end; a second gap is filled like the first."""
    sentence = x["sentence"].strip()
    gap = _GAP.search(sentence)
    if gap is None:
        return Drop("no gap")
    rest = sentence[gap.end() :]
    names = [x["option1"].strip(), x["option2"].strip()]
    if not all(names):
        return Drop("fewer than 2 options")
    chosen = told_choice([name + _GAP.sub(lambda _, name=name: name, rest) for name in names], x["label"])
    if isinstance(chosen, Drop):
        return chosen
    return {"sentence": sentence, "context": sentence[: gap.start()].rstrip(), **chosen}


def _wsc(x: Row) -> Fields | Drop:
    """`marked_text` has asterisks around the pronoun, which may occur twice; none if it does not occur at all.

    The source counts words, at times wrongly, so the occurrence nearest to the counted place is marked.
    """
    if x["label"] < 0:
        return Drop("no label")
    text, pronoun = x["text"].strip(), x["span2_text"].strip()
    found = re.finditer(rf"\b{re.escape(pronoun)}\b", text)
    places = sorted((abs(len(text[: match.start()].split()) - x["span2_index"]), match.span()) for match in found)
    if pronoun and places:
        start, end = places[0][1]
        text = f"{text[:start]}*{pronoun}*{text[end:]}"
    return {
        "marked_text": text,
        "candidate": x["span1_text"].strip(),
        "pronoun": pronoun,
        **choice(("no", "yes"), x["label"]),
    }


def _wsc273(x: Row) -> Fields | Drop:
    """`before` and `after` are the text on both sides of the pronoun; options take the pronoun's capital."""
    text, start, end = x["text"], x["pronoun_start"], x["pronoun_end"]
    if not 0 <= start < end <= len(text) or text[start:end] != x["pronoun_text"]:
        return Drop("the pronoun is not at its place")
    chosen = told_choice([x["option1_normalized"], x["option2_normalized"]], x["label"])
    if isinstance(chosen, Drop):
        return chosen
    return {
        "text": text,
        "marked_text": f"{text[:start]}*{text[start:end]}*{text[end:]}",
        "pronoun": text[start:end],
        "before": text[:start].rstrip(),
        "after": text[end:],
        **chosen,
    }


DEFINITE_PRONOUN_RESOLUTION = Dataset(
    name="definite_pronoun_resolution",
    cluster="coreference",
    benchmark="flan2021",
    source=Tfds("definite_pronoun_resolution:1.1.0"),
    splits=held_out_labels(test="test"),
    fields=_definite_pronoun_resolution,
    field_names=("sentence", "pronoun"),
    labels=Labels("label", ("0", "1")),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; public",
    citation="Rahman and Ng 2012",
    caveats="In 3% of the rows the pronoun occurs twice, and the source does not say which is meant. Sentences come in "
    "pairs that differ in a few words; a pair can be parted between train and validation.",
    template_group="flan2021/definite_pronoun_resolution",
)

WINOGRANDE = Dataset(
    name="winogrande",
    cluster="coreference",
    benchmark="flan2021",
    source=Tfds("winogrande:1.2.0", also=("winogrande:1.1.0",)),
    splits=held_out_labels(source="train_xl"),
    fields=_winogrande,
    field_names=("sentence", "context"),
    labels=Labels("label", ("1", "2")),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY 4.0",
    citation="Sakaguchi et al. 2020",
    caveats="Options are the whole rest of the sentence, as in FLAN, not only what fills the gap. Sentences come in "
    "pairs that differ in a few words; a pair can be parted between train and validation.",
    template_group="flan2021/winogrande",
)

WSC = Dataset(
    name="wsc",
    cluster="coreference",
    benchmark="flan2021",
    source=Tfds("super_glue/wsc:1.0.2"),
    splits=held_out_labels(validation=50),
    fields=_wsc,
    field_names=("marked_text", "candidate", "pronoun"),
    labels=Labels("label", ("False", "True")),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY 4.0",
    citation="Levesque et al. 2012 (SuperGLUE)",
    caveats="The same sentence occurs in several rows with other candidates, so train and validation share sentences. "
    "FLAN does not mark the pronoun, although in a quarter of the rows it occurs more than once.",
    template_group="flan2021/wsc",
)

WSC273 = Dataset(
    name="wsc273",
    cluster="coreference",
    benchmark="flan2021",
    source=Tfds("wsc273:1.0.0"),
    splits={"test": Rows("test")},
    fields=_wsc273,
    field_names=("text", "marked_text", "pronoun", "before", "after"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY 4.0",
    citation="Levesque et al. 2012",
    caveats="Evaluation only: it has no training rows, hence no few-shot examples.",
    template_group="flan2021/wsc273",
)

DATASETS = (DEFINITE_PRONOUN_RESOLUTION, WINOGRANDE, WSC, WSC273)
