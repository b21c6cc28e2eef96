"""Which datasets of FLAN 2021 hold the same text: what a held-out one may have in common with one that is trained on.

Holding out a cluster parts those of one cluster, and what `EXCLUDED_WITH` names; the others stay trained on, as in the
paper.  `flan-jax contamination` finds the examples concerned and scores without them.
"""

from typing import NamedTuple


class SharedText(NamedTuple):
    """Two datasets, and what is in both."""

    first: str
    second: str
    what: str


SHARED_TEXT = (
    SharedText("mnli_matched", "mnli_mismatched", "all training rows"),
    SharedText("squad_v1", "squad_v2", "passages and answerable questions, with their answers"),
    SharedText("qnli", "squad_v1", "questions, and sentences of the passages"),
    SharedText("qnli", "squad_v2", "questions, and sentences of the passages"),
    SharedText(
        "wnli", "wsc", "sentences of Winograd schemas: 69 of the 101 held-out examples of wnli, 116 of 154 of wsc"
    ),
    SharedText("wnli", "wsc273", "sentences of Winograd schemas"),
    SharedText("wsc", "wsc273", "sentences of Winograd schemas"),
    SharedText("record", "cnn_dailymail", "news articles"),
    SharedText("coqa", "cnn_dailymail", "news articles"),
    SharedText("anli_r3", "story_cloze", "stories"),
    SharedText("anli_r3", "rte", "premises"),
    SharedText("hellaswag", "wiki_lingua_english_en", "articles of wikiHow"),
    SharedText("glue_mrpc", "stsb", "sentences of news"),
    SharedText("dart", "web_nlg_en", "triples and their descriptions"),
    SharedText("dart", "e2e_nlg", "descriptions of restaurants"),
    SharedText("true_case", "fix_punct", "the sentences of the test"),
    SharedText("true_case", "word_segment", "the sentences of the test"),
    SharedText("fix_punct", "word_segment", "the sentences of the test"),
)
"""From the papers of the datasets; the figures are counted (tests/real_data/test_leaks.py).  Every pair once."""


def shared_text(name: str) -> dict[str, str]:
    """Dataset -> what it has in common with the dataset `name`."""
    pairs = [(other, what) for one, other, what in SHARED_TEXT if one == name]
    return dict(pairs + [(one, what) for one, other, what in SHARED_TEXT if other == name])
