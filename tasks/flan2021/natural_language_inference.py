"""Natural language inference: does a premise support a hypothesis?  FLAN 2021, cluster 1 of 12."""

from ..dataset import Dataset, Tfds, choice
from ..splits import held_out_labels

RTE = Dataset(
    name="rte",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("super_glue/rte:1.0.2"),
    splits=held_out_labels(),
    fields=lambda x: {
        "premise": x["premise"], "hypothesis": x["hypothesis"], **choice(("yes", "no"), x["label"])
    },
    field_names=("premise", "hypothesis"),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; SuperGLUE: research use",
    citation="Dagan et al. 2005; Bar Haim et al. 2006; Giampiccolo et al. 2007; Bentivogli et al. 2009 (SuperGLUE)",
    template_group="rte",
)  # fmt: skip

DATASETS = (RTE,)
