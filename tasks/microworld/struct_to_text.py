"""Structure to text: records and triples to sentences.  Cluster 7 of 12 of the embedded suite."""

from random import Random

from .sampling import Example
from .suite import dataset
from .world import PEOPLE, RELATIONS, Fact, capital, make_story

METRICS = ("rouge1", "rouge2", "rougeLsum")


def _triples(random: Random) -> Example:
    """One triple a line to one sentence each."""
    story = make_story(random)
    triples = "\n".join(f"{fact.subject} | {fact.relation} | {fact.value}" for fact in story.facts)
    return story.key, {"triples": triples, "answer": story.text, "references": (story.text,)}


def _record(random: Random) -> Example:
    """A record about one person to one sentence."""
    person = random.choice(PEOPLE)
    facts = [Fact(person, r.name, random.choice(r.values)) for r in random.sample(RELATIONS, 2)]
    record = f"name: {person}, " + ", ".join(f"{fact.relation}: {fact.value}" for fact in facts)
    rest = facts[1].say().removeprefix(person + " ")
    text = capital(f"{facts[0].say()} and {rest}.")
    return record, {"record": record, "answer": text, "references": (text,)}


DATASETS = (
    dataset("triples_to_text", "struct_to_text", _triples, ("triples",), METRICS),
    dataset("record_to_text", "struct_to_text", _record, ("record",), METRICS),
)
