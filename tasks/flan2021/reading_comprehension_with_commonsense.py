"""Reading comprehension with commonsense: the text alone does not settle the answer.  FLAN 2021, cluster 8 of 12."""

import re

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import held_out_labels

_HIGHLIGHTS = re.compile(r"\s*@highlight\b.*", re.DOTALL)
_PLACEHOLDER = re.compile(r"\S*@placeholder")


def _record(x: Row) -> Fields | Drop:
    """The query is cut at the word with the gap: what stands before it ends the prompt, and an option is a name with
    the rest of the query.  `rest` is that, gap and all, for the metrics, which score the name alone.  The highlights
    that end a passage are cut off, unless nothing else is there."""
    query = x["query"].strip()
    gap = _PLACEHOLDER.search(query)
    if not gap:
        return Drop("no placeholder")
    entities = dict.fromkeys(x["entities"])
    right = [name for name in dict.fromkeys(x["answers"]) if name in entities]
    if not x["answers"]:
        return Drop("no answer")
    if not right:
        return Drop("answer is none of the entities")
    passage = _HIGHLIGHTS.sub("", x["passage"]).strip()
    passage = passage or re.sub(r"\s*@highlight\s*", "\n", x["passage"]).strip()
    if not passage:
        return Drop("empty passage")
    beginning = query[: gap.start()].rstrip()

    def completed(name: str) -> str:
        return query[gap.start() :].replace("@placeholder", name)

    references = tuple(map(completed, right))
    return {
        "passage": passage,
        "beginning": beginning,
        "unfinished": f"{beginning} ...".lstrip(),
        "rest": query[gap.start() :],
        "options": tuple(map(completed, entities)),
        "answer": references[0],
        "references": references,
    }


def _cosmos_qa(x: Row) -> Fields | Drop:
    options = tuple(x[f"answer{i}"].strip() for i in range(4))
    if not all(options):
        return Drop("fewer than 4 options")
    if x["label"] < 0:
        return Drop("no label")
    return {"context": x["context"].strip(), "question": x["question"].strip(), **choice(options, x["label"])}


RECORD = Dataset(
    name="record",
    cluster="reading_comprehension_with_commonsense",
    benchmark="flan2021",
    source=Tfds("super_glue/record:1.0.2"),
    splits=held_out_labels(),
    fields=_record,
    field_names=("passage", "beginning", "unfinished"),
    kind="classification",
    metrics=("record",),
    licence="no explicit licence; SuperGLUE: research use",
    citation="Zhang et al. 2018 (SuperGLUE)",
    template_group="flan2021/record",
    caveats="The number of options varies, and several may be right; training shows the first in the alphabet. The "
    "highlights at the end of a passage are left out, as in FLAN, so an entity may be named in the options alone.",
)

COSMOS_QA = Dataset(
    name="cosmos_qa",
    cluster="reading_comprehension_with_commonsense",
    benchmark="flan2021",
    source=Tfds("cosmos_qa:1.0.0"),
    splits=held_out_labels(),
    fields=_cosmos_qa,
    field_names=("context", "question"),
    kind="classification",
    metrics=("accuracy",),
    labels=Labels("label", ("0", "1", "2", "3")),
    licence="CC BY 4.0",
    citation="Huang et al. 2019",
    template_group="flan2021/cosmos_qa",
    caveats="The texts are tokenised (a space before punctuation), and are left so.",
)

DATASETS = (RECORD, COSMOS_QA)
