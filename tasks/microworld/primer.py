"""The first documents a base model reads: stories, and claims whose verdict stands right behind them or nearly so.

A small decoder finds the skill of checking a claim against a text here in 2M tokens; on documents with verdicts at many
distances (documents.py) it takes more (LOG.md).  As there, no template of a dataset is used, and no story is told
that some dataset tests.
"""

from random import Random

from .documents import BACKGROUND, correction, documents, draw_fact, question, told
from .sampling import Example
from .world import PEOPLE, Story, capital, make_story

CLAIMS = (
    ("{q} {a}.", ("Yes", "No"), 6),
    ("{S}: {a}.", ("true", "false"), 3),
    ("{S}, {a}.", ("right", "wrong"), 3),
    ("{q} The answer is {a}.", ("yes", "no"), 1),
    ("{q} {n} says {a}.", ("yes", "no"), 1),
    ("Is it told that {s}? {a}.", ("Yes", "No"), 1),
    ("{S}. This is {a}.", ("true", "false"), 1),
    ("That {s} is {a}.", ("true", "false"), 1),
    ("{n} says that {s}. {n} is {a}.", ("right", "wrong"), 1),
    ("{n} thinks that {s}, and this is {a}.", ("right", "wrong"), 1),
)
"""Ways to say of a statement whether the story holds it, the words for yes and no, and how often: {s} clause, {S} with
capital, {q} question, {n} somebody."""


def _claim(random: Random, story: Story) -> str:
    fact, holds = draw_fact(random, story)
    form, answers, _ = random.choices(CLAIMS, weights=[weight for _, _, weight in CLAIMS])[0]
    clause = fact.say(random.choice((0, 0, 0, 1)))
    answer = answers[0 if holds else 1]
    return form.format(s=clause, S=capital(clause), q=fact.ask(), n=random.choice(PEOPLE), a=answer)


def _story(random: Random) -> Example:
    """A story of one to three facts, mostly one, and two to five remarks on it."""
    story = make_story(random, facts=random.choice((1, 1, 0)))
    remarks = random.choices((_claim, told, question, correction), weights=(8, 1, 1, 2), k=random.randint(2, 5))
    return story.key, {"text": story.text + "\n" + " ".join(remark(random, story) for remark in remarks)}


DATASETS = (documents("primer", ((_story, 16), *BACKGROUND)),)
