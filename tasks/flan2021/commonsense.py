"""Commonsense: which ending, cause, effect or way of doing things is likely?  FLAN 2021, cluster 3 of 12."""

import re

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, told_choice
from ..splits import Rows, held_out_labels

_HELLASWAG_MARKER = re.compile(r"\s*\[(?:header|title|step|substeps)\]\s*")


def _copa(x: Row) -> Fields | Drop:
    """`question` is the word "cause" or "effect"; `opening` is the premise as the first half of a sentence."""
    chosen = told_choice([x["choice1"], x["choice2"]], x["label"])
    if isinstance(chosen, Drop):
        return chosen
    premise = x["premise"].strip()
    opening = premise.rstrip(" .") + (" because" if x["question"] == "cause" else " so")
    return {"premise": premise, "question": x["question"], "opening": opening, **chosen}


def _hellaswag(x: Row) -> Fields | Drop:
    """WikiHow's markers ([header], [title], [step], [substeps]) become line breaks, and spaces in the options."""
    endings = [_HELLASWAG_MARKER.sub(" ", ending) for ending in x["endings"]]
    if len(endings) != 4:
        return Drop("not 4 options")
    chosen = told_choice(endings, x["label"])
    if isinstance(chosen, Drop):
        return chosen
    context = _HELLASWAG_MARKER.sub("\n", x["context"]).strip()
    return {"context": context, "activity_label": x["activity_label"].strip(), **chosen}


def _story_cloze(x: Row) -> Fields | Drop:
    """Right endings are numbered from 1."""
    if len(x["endings"]) != 2:
        return Drop("not 2 options")
    if x["label"] < 1:
        return Drop("no label")
    chosen = told_choice(x["endings"], x["label"] - 1)
    return chosen if isinstance(chosen, Drop) else {"context": x["context"].strip(), **chosen}


def _piqa(x: Row) -> Fields | Drop:
    chosen = told_choice([x["sol1"], x["sol2"]], x["label"])
    return chosen if isinstance(chosen, Drop) else {"goal": x["goal"].strip(), **chosen}


COPA = Dataset(
    name="copa",
    cluster="commonsense",
    benchmark="flan2021",
    source=Tfds("super_glue/copa:1.0.2"),
    splits=held_out_labels(validation=50),
    fields=_copa,
    field_names=("premise", "question", "opening"),
    labels=Labels("label", ("choice1", "choice2")),
    kind="classification",
    metrics=("accuracy",),
    licence="BSD 2-Clause",
    citation="Roemmele et al. 2011 (SuperGLUE)",
    caveats="Small: the official training split has 400 rows, 50 of which are our validation.",
    template_group="flan2021/copa",
)

HELLASWAG = Dataset(
    name="hellaswag",
    cluster="commonsense",
    benchmark="flan2021",
    source=Tfds("hellaswag:1.1.0"),
    splits=held_out_labels(),
    fields=_hellaswag,
    field_names=("context", "activity_label"),
    kind="classification",
    metrics=("accuracy",),
    licence="MIT",
    citation="Zellers et al. 2019",
    caveats="Captions of videos break off in mid-sentence, pieces of WikiHow after a full stop. "
    "The wrong endings were written by a language model.",
    template_group="flan2021/hellaswag",
)

STORY_CLOZE = Dataset(
    name="story_cloze",
    cluster="commonsense",
    benchmark="flan2021",
    source=Tfds(
        "story_cloze/2016:1.0.0",
        manual="the Spring 2016 validation and test sets, mailed to whoever fills out the form at "
        "https://www.cs.rochester.edu/nlp/rocstories/, renamed to cloze_test_val__spring2016.csv and "
        "cloze_test_test__spring2016.csv",
    ),
    splits={"train": Rows("validation", 0, -200), "validation": Rows("validation", -200), "test": Rows("test")},
    fields=_story_cloze,
    field_names=("context",),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; given out on request",
    citation="Mostafazadeh et al. 2016",
    caveats="There is no official training split with endings to choose from: "
    "train and validation are parts of the official validation split.",
    template_group="flan2021/story_cloze",
)

PIQA = Dataset(
    name="piqa",
    cluster="commonsense",
    benchmark="flan2021",
    source=Tfds("piqa:1.0.0"),
    splits=held_out_labels(validation=100),
    fields=_piqa,
    field_names=("goal",),
    labels=Labels("label", ("0", "1")),
    kind="classification",
    metrics=("accuracy",),
    licence="AFL-3.0",
    citation="Bisk et al. 2020",
    caveats="A goal may be a question, an instruction, half a sentence or the name of a thing. "
    "FLAN's paper found scores more than 1% lower on the rows that pretraining cannot have seen.",
    template_group="flan2021/piqa",
)

DATASETS = (COPA, HELLASWAG, STORY_CLOZE, PIQA)
