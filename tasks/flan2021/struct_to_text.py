"""Structure to text: put a record into words.  FLAN 2021, cluster 7 of 12.

GEM lists the references of evaluation rows and leaves them out in train, where each wording is a row of its own.
"""

from ..dataset import Dataset, Drop, Fields, Row, Tfds
from ..splits import held_out_labels

REPEATED = "Every wording of a record is a row of its own in train, so training and validation share records."


def _worded(x: Row, **record: str) -> Fields | Drop:
    """The record's fields with the target as answer; the target is a reference too."""
    references = tuple(dict.fromkeys(text for text in (*x["references"], x["target"]) if text.strip()))
    if not references:
        return Drop("no target text")
    if not all(text.strip() for text in record.values()):
        return Drop("empty record")
    return {**record, "answer": x["target"] if x["target"].strip() else references[0], "references": references}


def _web_nlg(x: Row) -> Fields | Drop:
    """`Aarhus_Airport | cityServed | Aarhus` is shown as `Aarhus Airport, cityServed, Aarhus`."""
    triples = [triple.replace("_", " ").replace(" | ", ", ") for triple in x["input"]]
    return _worded(x, triples="; ".join(triples), triples_by_line="\n".join(triples))


def _common_gen(x: Row) -> Fields | Drop:
    return _worded(x, concepts=", ".join(x["concepts"]), concepts_by_line="\n".join(x["concepts"]))


def _e2e_nlg(x: Row) -> Fields | Drop:
    """`name[Alimentum], food[Thai]` is shown as `name = Alimentum, food = Thai`."""
    return _worded(x, meaning_representation=x["meaning_representation"].replace("[", " = ").replace("]", ""))


def _dart(x: Row) -> Fields | Drop:
    """Triples come as one text, `Berlin COUNTRY Germany`.  Those that say where a table's row begins or what the table
    is called have markers for cells, `[TABLECONTEXT] [TITLE] Capitals`: the first is left out, of the second the
    brackets.  Other brackets are data."""
    unmarked = (t.replace("[TABLECONTEXT]", "").replace("[TITLE]", "TITLE").strip(" |") for t in x["tripleset"])
    triples = [triple for triple in unmarked if triple]
    return _worded(x, triples="; ".join(triples), triples_by_line="\n".join(triples))


WEB_NLG_EN = Dataset(
    name="web_nlg_en",
    cluster="struct_to_text",
    benchmark="flan2021",
    source=Tfds("gem/web_nlg_en:1.1.0"),
    splits=held_out_labels(),
    fields=_web_nlg,
    field_names=("triples", "triples_by_line"),
    kind="generation",
    metrics=("rouge",),
    licence="CC BY-NC 4.0",
    citation="Gardent et al. 2017; Castro Ferreira et al. 2020 (GEM)",
    template_group="flan2021/web_nlg_en",
    caveats=REPEATED,
)

COMMON_GEN = Dataset(
    name="common_gen",
    cluster="struct_to_text",
    benchmark="flan2021",
    source=Tfds("gem/common_gen:1.1.0"),
    splits=held_out_labels(),
    fields=_common_gen,
    field_names=("concepts", "concepts_by_line"),
    kind="generation",
    metrics=("rouge",),
    licence="MIT",
    citation="Lin et al. 2020 (GEM)",
    template_group="flan2021/common_gen",
    caveats=REPEATED,
)

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
    template_group="flan2021/e2e_nlg",
    caveats=REPEATED,
)

DART = Dataset(
    name="dart",
    cluster="struct_to_text",
    benchmark="flan2021",
    source=Tfds("gem/dart:1.1.0"),
    splits=held_out_labels(),
    fields=_dart,
    field_names=("triples", "triples_by_line"),
    kind="generation",
    metrics=("rouge",),
    licence="MIT",
    citation="Nan et al. 2021 (GEM)",
    template_group="flan2021/dart",
    caveats="Holds much of WebNLG and of E2E beside tables of its own, so training on any of the three shows texts of "
    f"the others. {REPEATED}",
)

DATASETS = (WEB_NLG_EN, COMMON_GEN, E2E_NLG, DART)
