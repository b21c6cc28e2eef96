"""Reading comprehension: answer a question from a passage.  FLAN 2021, cluster 2 of 12."""

from urllib.parse import unquote

from ..dataset import Dataset, Drop, Fields, Row, Tfds
from ..splits import held_out_labels


def _squad(x: Row) -> Fields | Drop:
    """Titles are the ends of Wikipedia addresses; all annotators' answers are references, the first is learned."""
    answers = tuple(dict.fromkeys(x["answers"]["text"]))
    if not answers:
        return Drop("no answer")
    return {
        "title": unquote(x["title"]).replace("_", " "),
        "context": x["context"],
        "question": x["question"].strip(),
        "answer": answers[0],
        "references": answers,
    }


SQUAD_V1 = Dataset(
    name="squad_v1",
    cluster="reading_comprehension",
    benchmark="flan2021",
    source=Tfds("squad/v1.1:3.0.0"),
    splits=held_out_labels(),
    fields=_squad,
    field_names=("title", "context", "question"),
    kind="generation",
    metrics=("squad",),
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016",
    template_group="squad_v1",
)

DATASETS = (SQUAD_V1,)
