"""Sentiment: is an opinion favourable?  FLAN 2021, cluster 4 of 12."""

import re

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import held_out_labels

_YELP_QUOTE = re.compile(r'\\?""|\\"')


def _opinion(field: str, text: str, label: int) -> Fields | Drop:
    """A text under the name `field`, and its tone by number; -1 where the source does not tell."""
    if not text.strip():
        return Drop("empty text")
    if label < 0:
        return Drop("no label")
    return {field: text.strip(), **choice(("negative", "positive"), label)}


def _sentiment140(x: Row) -> Fields | Drop:
    """Polarity is 0 (negative) or 4 (positive); the test split also has 2 (neutral), which neither option describes."""
    polarity = x["polarity"]
    if polarity == 2:
        return Drop("neutral")
    if polarity not in (0, 4):
        return Drop("unknown polarity")
    return _opinion("text", x["text"], polarity // 4)


def _yelp(x: Row) -> Fields | Drop:
    r"""The builder leaves the escapes of its CSV file in: doubled quotes, often with a backslash, and \n."""
    text = _YELP_QUOTE.sub('"', x["text"]).replace("\\n", "\n")
    return _opinion("text", text, x["label"])


IMDB_REVIEWS = Dataset(
    name="imdb_reviews",
    cluster="sentiment",
    benchmark="flan2021",
    source=Tfds("imdb_reviews/plain_text:1.0.0"),
    splits=held_out_labels(test="test"),
    fields=lambda x: _opinion("text", x["text"].replace("<br />", "\n"), x["label"]),
    field_names=("text",),
    labels=Labels("label", ("neg", "pos")),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence",
    citation="Maas et al. 2011",
    caveats="Reviews are long: many exceed 1,024 tokens once few-shot examples stand in front.",
    template_group="flan2021/imdb_reviews",
)

SENTIMENT140 = Dataset(
    name="sentiment140",
    cluster="sentiment",
    benchmark="flan2021",
    source=Tfds("sentiment140:1.0.0"),
    splits=held_out_labels(test="test"),
    fields=_sentiment140,
    field_names=("text",),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; tweets: terms of Twitter",
    citation="Go et al. 2009",
    caveats="Training labels were guessed from emoticons, which were then removed; the 498 tweets of the test were "
    "labelled by hand. Neutral ones are left out, where FLAN's release calls them negative.",
    template_group="flan2021/sentiment140",
)

YELP_POLARITY_REVIEWS = Dataset(
    name="yelp_polarity_reviews",
    cluster="sentiment",
    benchmark="flan2021",
    source=Tfds("yelp_polarity_reviews:0.2.0"),
    splits=held_out_labels(test="test"),
    fields=_yelp,
    field_names=("text",),
    labels=Labels("label", ("1", "2")),
    kind="classification",
    metrics=("accuracy",),
    licence="terms of the Yelp dataset: academic use",
    citation="Zhang et al. 2015",
    caveats="Reviews with one or two stars are negative, with four or five positive; there are none with three.",
    template_group="flan2021/yelp_polarity_reviews",
)

SST2 = Dataset(
    name="sst2",
    cluster="sentiment",
    benchmark="flan2021",
    source=Tfds("glue/sst2:2.0.0"),
    splits=held_out_labels(),
    fields=lambda x: _opinion("sentence", x["sentence"], x["label"]),
    field_names=("sentence",),
    labels=Labels("label", ("negative", "positive")),
    kind="classification",
    metrics=("accuracy",),
    licence="no explicit licence; GLUE: research use",
    citation="Socher et al. 2013 (GLUE)",
    caveats="The text is in small letters and cut into tokens. Training rows are phrases as well as sentences, "
    "and phrases of one sentence can stand in train and in validation.",
    template_group="flan2021/sst2",
)

DATASETS = (IMDB_REVIEWS, SENTIMENT140, YELP_POLARITY_REVIEWS, SST2)
