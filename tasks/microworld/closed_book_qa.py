"""Closed-book QA: facts of the towns, which the documents tell and the prompt does not.  Cluster 6 of 12."""

from random import Random

from ..dataset import choice
from .lore import TOWN_FACTS, TOWN_RELATIONS, town_question
from .sampling import Example
from .suite import dataset


def _town_facts(random: Random) -> Example:
    town, relation = random.choice(sorted(TOWN_FACTS))
    value = TOWN_FACTS[town, relation]
    question = town_question(town, relation, random.randrange(2))
    return f"{town} {relation}", {"question": question, "answer": value, "references": (value,)}


def _town_quiz(random: Random) -> Example:
    town, relation = random.choice(sorted(TOWN_FACTS))
    value = TOWN_FACTS[town, relation]
    options = [value, *random.sample([v for v in TOWN_RELATIONS[relation].values if v != value], 2)]
    random.shuffle(options)
    question = town_question(town, relation, random.randrange(2))
    return f"{town} {relation}", {"question": question, **choice(options, options.index(value))}


DATASETS = (
    dataset("town_facts", "closed_book_qa", _town_facts, ("question",), metrics=("trivia_qa_em", "trivia_qa_f1")),
    dataset("town_quiz", "closed_book_qa", _town_quiz, ("question",)),
)
