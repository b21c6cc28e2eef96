"""Sentiment: was the writer of a review pleased?  Cluster 4 of 12 of the embedded suite."""

from random import Random

from ..dataset import choice
from .lore import review
from .sampling import Example
from .suite import dataset


def _tone(random: Random) -> Example:
    label = random.randrange(2)
    text = review(random, pleased=label == 0)
    return text, {"review": text, **choice(("positive", "negative"), label)}


def _return(random: Random) -> Example:
    label = random.randrange(2)
    text = review(random, pleased=label == 0)
    return text, {"review": text, **choice(("yes", "no"), label)}


DATASETS = (
    dataset("review_tone", "sentiment", _tone, ("review",)),
    dataset("come_again", "sentiment", _return, ("review",)),
)
