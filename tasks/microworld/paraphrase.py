"""Paraphrase: do two sentences or two questions say the same?  Cluster 5 of 12 of the embedded suite."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import RELATION, Fact, altered, capital, make_story, swapped


def _same_meaning(random: Random) -> Example:
    """Two facts told in plain words, then in other words: the same ones, or one of them changed."""
    story = make_story(random, facts=2)
    label = random.randrange(2)
    facts = list(story.facts)
    if label:
        changed = random.choice((swapped, altered))(random, story)
        facts = [changed if fact.subject == changed.subject else fact for fact in facts]
    other = capital(" and ".join(fact.say(1) for fact in facts)) + "."
    return story.key, {"first": story.text, "second": other, **choice(("yes", "no"), label)}


def _same_question(random: Random) -> Example:
    """Two yes-no questions about the same person, the second one begun with "Is it so that"."""
    story = make_story(random, facts=2)
    label = random.randrange(2)
    fact = random.choice(story.facts)
    other = fact
    if label:
        values = RELATION[fact.relation].values
        other = random.choice(
            (
                Fact(fact.subject, fact.relation, random.choice([v for v in values if v != fact.value])),
                *(Fact(f.subject, fact.relation, fact.value) for f in story.facts if f != fact),
            )
        )
    second = f"Is it so that {other.say()}?"
    return fact.say(), {"first": fact.ask(), "second": second, **choice(("same", "different"), label)}


FIELDS = ("first", "second")

DATASETS = (
    dataset("same_meaning", "paraphrase", _same_meaning, FIELDS),
    dataset("same_question", "paraphrase", _same_question, FIELDS),
)
