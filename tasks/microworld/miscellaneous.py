"""Miscellaneous: the kind of a question, the order of words, who is right in a talk.  Cluster 12 of 12 of the suite."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import PEOPLE, RELATIONS, Fact, capital, false_statement, make_story


def _question_kind(random: Random) -> Example:
    relation = random.choice(RELATIONS)
    fact = Fact(random.choice(PEOPLE), relation.name, random.choice(relation.values))
    question, kind = random.choice(((fact.ask_value(), relation.name), (fact.ask_subject(), "person")))
    other = random.choice([k for k in (*(r.name for r in RELATIONS), "person") if k != kind])
    options = [kind, other]
    random.shuffle(options)
    return question, {"question": question, **choice(options, options.index(kind))}


def _word_order(random: Random) -> Example:
    relation = random.choice(RELATIONS)
    fact = Fact(random.choice(PEOPLE), relation.name, random.choice(relation.values))
    label = random.randrange(2)
    words = fact.say().split()
    while label and " ".join(words) == fact.say():
        i = random.randrange(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    return fact.say(), {"sentence": capital(" ".join(words)) + ".", **choice(("yes", "no"), label)}


def _dialogue(random: Random) -> Example:
    """Somebody tells a story, somebody else then says something of it, right or wrong."""
    story = make_story(random)
    told = {fact.subject for fact in story.facts}
    teller, other = random.sample([p for p in PEOPLE if p not in told], 2)
    label = random.randrange(2)
    fact = false_statement(random, story) if label else random.choice(story.facts)
    dialogue = f"{teller}: {story.text}\n{other}: So {fact.say()}."
    return story.key, {"dialogue": dialogue, "teller": teller, "other": other, **choice(("right", "wrong"), label)}


DATASETS = (
    dataset("question_kind", "misc", _question_kind, ("question",)),
    dataset("word_order", "misc", _word_order, ("sentence",)),
    dataset("dialogue", "misc", _dialogue, ("dialogue", "teller", "other")),
)
