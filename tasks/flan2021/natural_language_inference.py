"""Natural language inference: does a premise support a hypothesis?  FLAN 2021, cluster 1 of 12.

Where there are three labels the questions ask whether the hypothesis is true: "no" says that it is false, not merely
that it does not follow.
"""

from collections.abc import Callable

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import held_out_labels, official

ENTAILMENT_FIRST = Labels("label", ("entailment", "not_entailment"))
THREE_WAY = Labels("label", ("entailment", "neutral", "contradiction"))
NOT_POSSIBLE_TO_TELL = ("yes", "it is not possible to tell", "no")


def _pair(options: tuple[str, ...], **columns: str) -> Callable[[Row], Fields | Drop]:
    """Two texts, each our field = TFDS's field, and a label, which TFDS writes as -1 where there is none.

    White space at the ends goes: every sixth row of MNLI has some, and templates put quotation marks around.
    """

    def fields(x: Row) -> Fields | Drop:
        texts = {ours: x[theirs].strip() for ours, theirs in columns.items()}
        if x["label"] < 0:
            return Drop("no label")
        if not all(texts.values()):
            return Drop("empty text")
        return {**texts, **choice(options, x["label"])}

    return fields


def _anli(adversarial_round: int) -> Dataset:
    return Dataset(
        name=f"anli_r{adversarial_round}",
        cluster="nli",
        benchmark="flan2021",
        family="anli",
        source=Tfds(f"anli/r{adversarial_round}:0.1.0"),
        splits=official(),
        fields=_pair(("Yes", "It's impossible to say", "No"), premise="context", hypothesis="hypothesis"),
        labels=Labels("label", ("e", "n", "c")),
        field_names=("premise", "hypothesis"),
        kind="classification",
        metrics=("accuracy",),
        licence="CC BY-NC 4.0",
        citation="Nie et al. 2020",
        caveats="Hypotheses were written to mislead the models of 2019, so scores near one third are common.",
        template_group="flan2021/anli",
    )


CB = Dataset(
    name="cb",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("super_glue/cb:1.0.2"),
    splits=held_out_labels(validation=50),
    fields=_pair(("Yes", "No", "It's impossible to say"), premise="premise", hypothesis="hypothesis"),
    labels=Labels("label", ("entailment", "contradiction", "neutral")),
    field_names=("premise", "hypothesis"),
    kind="classification",
    metrics=("accuracy", "macro_f1"),
    licence="no explicit licence; SuperGLUE: research use",
    citation="de Marneffe et al. 2019 (SuperGLUE)",
    caveats="Its label order is not that of the other three-way sets.  The test has 56 examples, few of them neutral: "
    "one more right answer is 1.8 points.",
    template_group="flan2021/cb",
)

RTE = Dataset(
    name="rte",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("super_glue/rte:1.0.2"),
    splits=held_out_labels(),
    fields=_pair(("yes", "no"), premise="premise", hypothesis="hypothesis"),
    labels=ENTAILMENT_FIRST,
    field_names=("premise", "hypothesis"),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; SuperGLUE: research use",
    citation="Dagan et al. 2005; Bar Haim et al. 2006; Giampiccolo et al. 2007; Bentivogli et al. 2009 (SuperGLUE)",
    template_group="flan2021/rte",
)


def _mnli(name: str, same_rows_as: str, caveats: str) -> Dataset:
    return Dataset(
        name=name,
        cluster="nli",
        benchmark="flan2021",
        family="mnli",
        same_rows_as=same_rows_as,
        source=Tfds("glue/mnli:2.0.0"),
        splits=held_out_labels(test=name.replace("mnli", "validation")),
        fields=_pair(NOT_POSSIBLE_TO_TELL, premise="premise", hypothesis="hypothesis"),
        labels=THREE_WAY,
        field_names=("premise", "hypothesis"),
        kind="classification",
        metrics=("accuracy",),
        licence="OANC's own, free; fiction part: public domain, CC BY 3.0, CC BY-SA 3.0",
        citation="Williams et al. 2018 (GLUE)",
        caveats=caveats,
        template_group="flan2021/mnli",
    )


QNLI = Dataset(
    name="qnli",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("glue/qnli:2.0.0"),
    splits=held_out_labels(),
    fields=_pair(("yes", "no"), question="question", sentence="sentence"),
    labels=ENTAILMENT_FIRST,
    field_names=("question", "sentence"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016; Wang et al. 2018 (GLUE)",
    caveats="Made from SQuAD v1.1.",
    template_group="flan2021/qnli",
)

WNLI = Dataset(
    name="wnli",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("glue/wnli:2.0.0"),
    splits=held_out_labels(validation=30),
    fields=_pair(("no", "yes"), sentence1="sentence1", sentence2="sentence2"),
    labels=Labels("label", ("not_entailment", "entailment")),
    field_names=("sentence1", "sentence2"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY 4.0",
    citation="Levesque et al. 2012 (GLUE)",
    caveats="The official validation, here the test, repeats sentences of train with the other label, so a model that "
    "learned them by heart scores below chance.",
    template_group="flan2021/wnli",
)

SNLI = Dataset(
    name="snli",
    cluster="nli",
    benchmark="flan2021",
    source=Tfds("snli:1.1.0"),
    splits=official(),
    fields=_pair(NOT_POSSIBLE_TO_TELL, premise="premise", hypothesis="hypothesis"),
    labels=THREE_WAY,
    field_names=("premise", "hypothesis"),
    kind="classification",
    metrics=("accuracy",),
    licence="CC BY-SA 4.0",
    citation="Bowman et al. 2015",
    caveats="Premises are captions of photographs, which the writers of the hypotheses did not see.",
    template_group="flan2021/snli",
)

DATASETS = (
    *map(_anli, (1, 2, 3)),
    CB,
    RTE,
    _mnli("mnli_matched", "", "The test comes from the genres of train."),
    _mnli("mnli_mismatched", "mnli_matched", "The test comes from other genres; train is that of mnli_matched."),
    QNLI,
    WNLI,
    SNLI,
)
