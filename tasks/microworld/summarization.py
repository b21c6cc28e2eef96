"""Summarization: a text with asides to what it tells, and whether a summary is faithful.  Cluster 9 of 12."""

from random import Random

from ..dataset import choice
from .sampling import Example
from .suite import dataset
from .world import PEOPLE, RELATIONS, Fact, Story, capital, false_statement, make_story

ROUGE = ("rouge1", "rouge2", "rougeLsum")
ASIDES = ("It rains.", "The sun is out.", "It is late.", "There is some wind.", "It is a long day.", "All is quiet.")


def report(random: Random) -> tuple[str, str]:
    """(report, summary): two facts of one person among asides; the summary joins the facts."""
    person = random.choice(PEOPLE)
    facts = [Fact(person, r.name, random.choice(r.values)) for r in random.sample(RELATIONS, 2)]
    summary = f"{facts[0].sentence()[:-1]} and {facts[1].say().removeprefix(person + ' ')}."
    asides = random.sample(ASIDES, 2)
    lines = [asides[0], facts[0].sentence(), asides[1], facts[1].sentence()]
    if random.random() < 0.5:
        lines = [lines[1], lines[0], lines[3], lines[2]]
    return " ".join(lines), summary


def _report(random: Random) -> Example:
    text, summary = report(random)
    return summary, {"text": text, "answer": summary, "references": (summary,)}


def _shared(random: Random) -> Example:
    """Two of three people share a value; the summary names them together."""
    relation = random.choice(RELATIONS)
    people = random.sample(PEOPLE, 3)
    same, other = random.sample(relation.values, 2)
    values = [same, same, other]
    random.shuffle(values)
    story = Story(tuple(Fact(p, relation.name, v) for p, v in zip(people, values, strict=True)))
    summary = f"{' and '.join(f.subject for f in story.facts if f.value == same)}: {same}."
    return story.key, {"text": story.text, "answer": summary, "references": (summary,)}


def _faithful(random: Random) -> Example:
    """A story with an aside, and a summary that keeps one fact of it, or gets it wrong."""
    story = make_story(random)
    label = random.randrange(2)
    fact = false_statement(random, story) if label else random.choice(story.facts)
    sentences = [f.sentence() for f in story.facts]
    sentences.insert(random.randrange(len(sentences) + 1), random.choice(ASIDES))
    summary = capital(fact.say(random.choice((0, 0, 1)))) + "."
    return story.key, {"text": " ".join(sentences), "summary": summary, **choice(("yes", "no"), label)}


DATASETS = (
    dataset("report", "summarization", _report, ("text",), metrics=ROUGE),
    dataset("shared", "summarization", _shared, ("text",), metrics=ROUGE),
    dataset("faithful_summary", "summarization", _faithful, ("text", "summary")),
)
