"""Reading comprehension: questions about a short story.  Cluster 2 of 12 of the embedded suite."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import false_statement, make_story, untold

LARGE = {"train": 3000, "validation": 100, "test": 200}


def _yes_no(random: Random) -> Example:
    story = make_story(random)
    label = random.randrange(2)
    fact = false_statement(random, story) if label else random.choice(story.facts)
    return story.key, {"story": story.text, "question": fact.ask(), **choice(("yes", "no"), label)}


def _statements(random: Random) -> Example:
    story = make_story(random)
    label = random.randrange(2)
    fact = false_statement(random, story) if label else random.choice(story.facts)
    statement = fact.sentence(random.choice((0, 0, 1)))
    return story.key, {"story": story.text, "statement": statement, **choice(("true", "false"), label)}


def _answerable(random: Random) -> Example:
    story = make_story(random)
    label = random.randrange(3)
    fact = (random.choice(story.facts), false_statement(random, story), untold(random, story))[label]
    return story.key, {"story": story.text, "question": fact.ask(), **choice(("yes", "no", "not told"), label)}


def _span(random: Random) -> Example:
    story = make_story(random)
    fact = random.choice(story.facts)
    question, answer = random.choice(((fact.ask_value(), fact.value), (fact.ask_subject(), fact.subject)))
    return story.key, {"story": story.text, "question": question, "answer": answer, "references": (answer,)}


QUESTION = ("story", "question")

DATASETS = (
    dataset("yes_no_questions", "reading_comprehension", _yes_no, QUESTION, sizes=LARGE),
    dataset("statements", "reading_comprehension", _statements, ("story", "statement"), sizes=LARGE),
    dataset("answerable", "reading_comprehension", _answerable, QUESTION),
    dataset("spans", "reading_comprehension", _span, QUESTION, metrics=("squad_em", "squad_f1")),
)
