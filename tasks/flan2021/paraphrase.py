"""Paraphrase: do two sentences or questions mean the same?  FLAN 2021, cluster 5 of 12."""

from collections.abc import Callable

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import held_out_labels, official

SCORES = ("0", "1", "2", "3", "4", "5")


def _pair(first: str, second: str, clean: Callable[[str], str] = str.strip) -> Callable[[Row], Fields | Drop]:
    """Two texts under TFDS's own names, and whether they mean the same; label -1 is TFDS's for "none given"."""

    def fields(x: Row) -> Fields | Drop:
        texts = {first: clean(x[first]), second: clean(x[second])}
        if x["label"] < 0:
            return Drop("no label")
        if not all(texts.values()):
            return Drop("empty text")
        return {**texts, **choice(("no", "yes"), x["label"])}

    return fields


def _stsb(x: Row) -> Fields | Drop:
    """The score is the mean of several people's, 0 to 5.  The answer is the nearest whole one, a half going to the even
    one as in FLAN; the correlations are measured against the score itself."""
    texts = {"sentence1": x["sentence1"].strip(), "sentence2": x["sentence2"].strip()}
    score = round(float(x["label"]), 3)
    if not 0 <= score <= 5:
        return Drop("no label")
    if not all(texts.values()):
        return Drop("empty text")
    return {**texts, **choice(SCORES, round(score)), "references": (f"{score:g}",)}


GLUE_MRPC = Dataset(
    name="glue_mrpc",
    cluster="paraphrase",
    benchmark="flan2021",
    source=Tfds("glue/mrpc:2.0.0"),
    splits=held_out_labels(),
    fields=_pair("sentence1", "sentence2"),
    labels=Labels("label", ("not_equivalent", "equivalent")),
    field_names=("sentence1", "sentence2"),
    kind="classification",
    metrics=("accuracy", "f1"),
    licence="Microsoft Research licence: research use",
    citation="Dolan and Brockett 2005 (GLUE)",
    caveats="About two thirds of the pairs are paraphrases, and small differences in content were let pass.",
    template_group="flan2021/glue_mrpc",
)

GLUE_QQP = Dataset(
    name="glue_qqp",
    cluster="paraphrase",
    benchmark="flan2021",
    source=Tfds("glue/qqp:2.0.0"),
    splits=held_out_labels(),
    fields=_pair("question1", "question2", clean=lambda text: text.strip().replace('""', "'")),
    labels=Labels("label", ("not_duplicate", "duplicate")),
    field_names=("question1", "question2"),
    kind="classification",
    metrics=("accuracy", "f1"),
    licence="Quora's terms: non-commercial use",
    citation="Iyer et al. 2017 (GLUE)",
    caveats="Labels come from Quora's own merging of questions and are noisy.  Doubled quotation marks, which the "
    "source has for plain ones, become single quotes as in FLAN.",
    template_group="flan2021/glue_qqp",
)

PAWS_WIKI = Dataset(
    name="paws_wiki",
    cluster="paraphrase",
    benchmark="flan2021",
    source=Tfds("paws_wiki/labeled_final_tokenized:1.1.0", also=("paws_wiki:1.1.0",)),
    splits=official(),
    fields=_pair("sentence1", "sentence2"),
    labels=Labels("label", ("different_meaning", "paraphrase")),
    field_names=("sentence1", "sentence2"),
    kind="classification",
    metrics=("accuracy",),
    licence="free for any use, naming Google as the source; text from Wikipedia",
    citation="Zhang et al. 2019",
    caveats="The text is cut into tokens with spaces between them, and pairs share nearly all their words by design.",
    template_group="flan2021/paws_wiki",
)

STSB = Dataset(
    name="stsb",
    cluster="paraphrase",
    benchmark="flan2021",
    source=Tfds("glue/stsb:2.0.0"),
    splits=held_out_labels(validation=100),
    fields=_stsb,
    field_names=("sentence1", "sentence2"),
    kind="classification",
    metrics=("pearson", "spearman"),
    licence="CC BY-SA 4.0; parts under their sources' terms",
    citation="Cer et al. 2017 (GLUE)",
    caveats="Scores are learned as whole numbers and measured against the people's mean, which is a fraction.",
    template_group="flan2021/stsb",
)

DATASETS = (GLUE_MRPC, GLUE_QQP, PAWS_WIKI, STSB)
