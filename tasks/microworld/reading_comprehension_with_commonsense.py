"""Reading comprehension with commonsense: a story and a rule of the world give the answer.  Cluster 11 of 12."""

from random import Random

from ..dataset import choice
from .lore import USES, WISHES
from .sampling import Example
from .suite import dataset
from .world import PEOPLE, Fact, Story

RULES = (("mood", WISHES, "wants to {v}"), ("thing", {t: f"{use} a {t}" for t, use in USES.items()}, "can {v}"))


def _scene(random: Random) -> tuple[Story, str, list[str]]:
    """(story, form of what follows, what follows for each person)."""
    relation, table, form = random.choice(RULES)
    people = random.sample(PEOPLE, 2)
    values = random.sample(sorted(table), 2)
    story = Story(tuple(Fact(p, relation, v) for p, v in zip(people, values, strict=True)))
    return story, form, [table[v].split(" a ")[0] for v in values]


def _who_would(random: Random) -> Example:
    story, form, acts = _scene(random)
    answer = random.randrange(2)
    question = f"Who {form.format(v=acts[answer])}{' something' if 'can' in form else ''}?"
    people = [fact.subject for fact in story.facts]
    return story.key, {"story": story.text, "question": question, **choice(people, answer)}


def _would(random: Random) -> Example:
    story, form, acts = _scene(random)
    person, label = random.randrange(2), random.randrange(2)
    what = form.format(v=acts[person ^ label]) + (" something" if "can" in form else "")
    statement = f"{story.facts[person].subject} {what}."
    return story.key, {"story": story.text, "statement": statement, **choice(("right", "wrong"), label)}


CLUSTER = "reading_comprehension_with_commonsense"

DATASETS = (
    dataset("who_would", CLUSTER, _who_would, ("story", "question")),
    dataset("would_follow", CLUSTER, _would, ("story", "statement")),
)
