"""Translation between English and Oru, the invented language of the world.  Cluster 10 of 12 of the suite."""

from random import Random

from .lore import in_oru
from .sampling import Example
from .suite import dataset
from .world import make_story


def _texts(random: Random) -> tuple[str, str, str]:
    """(key, English, Oru) of one or two facts."""
    story = make_story(random, facts=2)
    facts = story.facts[: random.choice((1, 2))]
    key = " ".join(sorted(fact.sentence() for fact in facts))
    return key, " ".join(fact.sentence() for fact in facts), " ".join(in_oru(fact) for fact in facts)


def _to_english(random: Random) -> Example:
    key, english, oru = _texts(random)
    return key, {"oru": oru, "answer": english, "references": (english,)}


def _to_oru(random: Random) -> Example:
    key, english, oru = _texts(random)
    return key, {"english": english, "answer": oru, "references": (oru,)}


DATASETS = (
    dataset("oru_to_english", "translation", _to_english, ("oru",), metrics=("bleu",)),
    dataset("english_to_oru", "translation", _to_oru, ("english",), metrics=("bleu",)),
)
