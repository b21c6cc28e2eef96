"""Sentiment: is an opinion favourable?  FLAN 2021, cluster 4 of 12."""

from ..dataset import Dataset, Tfds, choice
from ..splits import held_out_labels

SST2 = Dataset(
    name="sst2",
    cluster="sentiment",
    benchmark="flan2021",
    source=Tfds("glue/sst2:2.0.0"),
    splits=held_out_labels(),
    fields=lambda x: {"sentence": x["sentence"].strip(), **choice(("negative", "positive"), x["label"])},
    field_names=("sentence",),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; GLUE: research use",
    citation="Socher et al. 2013 (GLUE)",
    template_group="sst2",
)

DATASETS = (SST2,)
