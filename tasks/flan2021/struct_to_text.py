"""Structure to text: put a record into words.  FLAN 2021, cluster 7 of 12."""

from ..dataset import Dataset, Fields, Row, Tfds
from ..splits import held_out_labels


def _e2e_nlg(x: Row) -> Fields:
    """`name[Alimentum], food[Thai]` is shown as `name = Alimentum, food = Thai`; the target is a reference too."""
    record = x["meaning_representation"].replace("[", " = ").replace("]", "")
    references = tuple(dict.fromkeys((*x["references"], x["target"])))
    return {"meaning_representation": record, "answer": x["target"], "references": references}


E2E_NLG = Dataset(
    name="e2e_nlg",
    cluster="struct_to_text",
    benchmark="flan2021",
    source=Tfds("gem/e2e_nlg:1.1.0"),
    splits=held_out_labels(),
    fields=_e2e_nlg,
    field_names=("meaning_representation",),
    kind="generation",
    metrics=("rouge",),
    licence="CC BY-SA 4.0",
    citation="Novikova et al. 2017; Dušek et al. 2019 (GEM)",
    template_group="e2e_nlg",
)

DATASETS = (E2E_NLG,)
