"""Commonsense: what things are for, and what people in a mood or trade will do.  Cluster 3 of 12 of the suite."""

from random import Random

from ..dataset import choice
from .lore import TRADES, USES, WISHES
from .sampling import Example
from .suite import dataset
from .world import PEOPLE


def _next_step(random: Random) -> Example:
    """Somebody is in a mood: which of two things will they do?"""
    person, mood = random.choice(PEOPLE), random.choice(sorted(WISHES))
    other = random.choice(sorted(set(WISHES.values()) - {WISHES[mood]}))
    options = [WISHES[mood], other]
    random.shuffle(options)
    text = f"{person} is {mood}."
    return f"{text} {options}", {"situation": text, "person": person, **choice(options, options.index(WISHES[mood]))}


def _makes_sense(random: Random) -> Example:
    """A statement about a thing or a trade of the world, sensible or with its end exchanged for another's."""
    label = random.randrange(2)
    person = random.choice(PEOPLE)
    table, form = random.choice(((USES, "{p} can {b} a {a}."), (TRADES, "{p} is a {a} and {b}.")))
    a, other = random.sample(sorted(table), 2)
    statement = form.format(p=person, a=a, b=table[other if label else a])
    return statement, {"statement": statement, **choice(("yes", "no"), label)}


SMALL = {"train": 500, "validation": 60, "test": 100}
"""There are 400 sensible statements; more rows would be mostly nonsense."""

DATASETS = (
    dataset("next_step", "commonsense", _next_step, ("situation", "person")),
    dataset("makes_sense", "commonsense", _makes_sense, ("statement",), sizes=SMALL),
)
