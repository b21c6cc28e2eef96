"""Natural language inference: does a premise support a hypothesis?  Cluster 1 of 12 of the embedded suite."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import false_statement, make_story, untold


def _entailment(random: Random) -> Example:
    story = make_story(random)
    label = random.randrange(2)
    fact = false_statement(random, story) if label else random.choice(story.facts)
    return story.key, {"premise": story.text, "hypothesis": fact.sentence(), **choice(("yes", "no"), label)}


def _consequence(random: Random) -> Example:
    """The hypothesis is in other words than the premise half of the time; what does not follow may also be untold."""
    story = make_story(random)
    label = random.randrange(2)
    fact = random.choice((false_statement, untold))(random, story) if label else random.choice(story.facts)
    hypothesis = fact.sentence(random.randrange(2))
    return story.key, {"premise": story.text, "hypothesis": hypothesis, **choice(("true", "false"), label)}


def _three_way(random: Random) -> Example:
    story = make_story(random)
    label = random.randrange(3)
    fact = (random.choice(story.facts), untold(random, story), false_statement(random, story))[label]
    row = {"premise": story.text, "hypothesis": fact.sentence(), **choice(("yes", "not told", "no"), label)}
    return story.key, row


FIELDS = ("premise", "hypothesis")

DATASETS = (
    dataset("entailment", "nli", _entailment, FIELDS),
    dataset("consequence", "nli", _consequence, FIELDS),
    dataset("three_way_inference", "nli", _three_way, FIELDS),
)
