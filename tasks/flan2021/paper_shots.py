"""How many exemplars the FLAN paper shows of each dataset: the most, up to 16, that fit (Wei et al. 2021, section 4.4).

Source: the paper's tables of results by dataset, where k stands in square brackets behind the few-shot scores; `tuned`
is that of the columns of FLAN, `base` that of LaMDA-PT.  The tables were written down from memory.  Of their scores
some twenty were compared with public copies and agreed; the k were not, so read a cell in the paper before quoting it.
None was computed here: with another tokenizer or other templates fewer may fit, and then fewer are shown.
Datasets without a number there are not listed, nor is wsc273, which has no training rows.
"""

from types import MappingProxyType
from typing import NamedTuple

from ..dataset import Dataset


class PaperShots(NamedTuple):
    """k of the tuned model with instructions, and of the untuned base model with continuation prompts."""

    tuned: int
    base: int


PAPER_SHOTS = MappingProxyType({
    "anli_r1": PaperShots(6, 5),
    "anli_r2": PaperShots(6, 5),
    "anli_r3": PaperShots(6, 5),
    "cb": PaperShots(7, 5),
    "rte": PaperShots(10, 5),
    "mnli_matched": PaperShots(10, 5),
    "mnli_mismatched": PaperShots(10, 5),
    "qnli": PaperShots(12, 5),
    "snli": PaperShots(15, 5),
    "wnli": PaperShots(14, 5),
    "bool_q": PaperShots(4, 1),
    "multirc": PaperShots(1, 5),
    "openbookqa": PaperShots(16, 10),
    "squad_v1": PaperShots(4, 3),
    "squad_v2": PaperShots(3, 3),
    "drop": PaperShots(4, 1),
    "arc_challenge": PaperShots(13, 10),
    "arc_easy": PaperShots(14, 10),
    "natural_questions": PaperShots(16, 5),
    "trivia_qa": PaperShots(16, 10),
    "copa": PaperShots(16, 10),
    "hellaswag": PaperShots(3, 10),
    "piqa": PaperShots(10, 10),
    "story_cloze": PaperShots(10, 10),
    "imdb_reviews": PaperShots(2, 1),
    "sentiment140": PaperShots(16, 5),
    "sst2": PaperShots(16, 5),
    "yelp_polarity_reviews": PaperShots(4, 3),
    "glue_mrpc": PaperShots(10, 5),
    "glue_qqp": PaperShots(16, 3),
    "paws_wiki": PaperShots(10, 5),
    "definite_pronoun_resolution": PaperShots(16, 5),
    "winogrande": PaperShots(16, 10),
    "cosmos_qa": PaperShots(5, 5),
    "record": PaperShots(1, 1),
    "wmt14_enfr": PaperShots(9, 5),
    "wmt16_translate_deen": PaperShots(11, 5),
    "wmt16_translate_roen": PaperShots(9, 5),
})  # fmt: skip
"""By dataset; translation has the same k in both directions."""


def paper_shots(dataset: Dataset) -> int | None:
    """The k of a dataset, in whatever form it is put; None if the paper gives none."""
    name = dataset.name.removesuffix(f"_{dataset.form}").removesuffix(f"_templates_{dataset.template_count}")
    if dataset.benchmark != "flan2021" or name not in PAPER_SHOTS:
        return None
    return PAPER_SHOTS[name].base if dataset.form == "continuation" else PAPER_SHOTS[name].tuned
