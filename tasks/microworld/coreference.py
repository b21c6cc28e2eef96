"""Coreference: whom does a pronoun mean?  Cluster 8 of 12 of the embedded suite."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import MEN, RELATIONS, WOMEN, Fact


def pronoun_story(random: Random) -> tuple[str, str, str, tuple[str, ...]]:
    """(text, pronoun, whom it means, both people in the order told): a woman and a man, then one of them by pronoun."""
    people = [random.choice(WOMEN), random.choice(MEN)]
    random.shuffle(people)
    first, last = random.sample(RELATIONS, 2)
    values = random.sample(first.values, 2)
    told = " ".join(Fact(p, first.name, v).sentence() for p, v in zip(people, values, strict=True))
    meant = random.choice(people)
    pronoun = "She" if meant in WOMEN else "He"
    return f"{told} {Fact(pronoun, last.name, random.choice(last.values)).sentence()}", pronoun, meant, tuple(people)


def _pronoun(random: Random) -> Example:
    text, pronoun, meant, people = pronoun_story(random)
    return text, {"text": text, "pronoun": pronoun, **choice(people, people.index(meant))}


def _pronoun_check(random: Random) -> Example:
    text, pronoun, meant, people = pronoun_story(random)
    person = random.choice(people)
    label = 0 if person == meant else 1
    return text, {"text": text, "pronoun": pronoun, "person": person, **choice(("yes", "no"), label)}


DATASETS = (
    dataset("pronoun", "coreference", _pronoun, ("text", "pronoun")),
    dataset("pronoun_check", "coreference", _pronoun_check, ("text", "pronoun", "person")),
)
