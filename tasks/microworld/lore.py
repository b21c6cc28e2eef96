"""What is always so in the world: what things are for, what moods want, what trades do, facts of towns, words of Oru.

Documents tell all of it; datasets ask for it.
"""

import dataclasses
from random import Random
from types import MappingProxyType

from .world import RELATION, RELATIONS, Fact

USES = MappingProxyType({
    "kite": "fly", "drum": "beat", "lamp": "light", "rope": "pull", "boat": "row",
    "bell": "ring", "map": "read", "basket": "fill", "ladder": "climb", "flute": "play",
})  # fmt: skip
"""Thing -> what one can do with it: "Tom can fly a kite."."""

WISHES = MappingProxyType({
    "happy": "sing", "sad": "cry", "tired": "sleep", "hungry": "eat",
    "calm": "rest", "proud": "boast", "scared": "hide", "bored": "dance",
})  # fmt: skip
"""Mood -> what somebody in it will do."""

TRADES = MappingProxyType({
    "baker": "bakes bread", "farmer": "grows rice", "doctor": "helps sick people", "teacher": "helps children",
    "sailor": "sails a boat", "singer": "sings songs", "painter": "paints walls", "guard": "guards a gate",
    "weaver": "makes cloth", "cook": "makes soup",
})  # fmt: skip
"""Trade -> what somebody of it does."""


@dataclasses.dataclass(frozen=True)
class TownRelation:
    """A kind of town fact: its sentence, two questions for it ({t} the town, {v} the value) and its values."""

    sentence: str
    questions: tuple[str, str]
    values: tuple[str, ...]


TOWNS = ("Arlen", "Boro", "Calmar", "Dorna", "Elvik", "Farro", "Galt", "Hessa", "Ilmen", "Jora", "Kelda", "Lorn")
TOWN_RELATIONS = MappingProxyType({
    "flag": TownRelation(
        "the flag of {t} is {v}",
        ("Which colour is the flag of {t}?", "What flag does {t} have?"), RELATION["colour"].values,
    ),
    "dish": TownRelation(
        "people in {t} eat {v}",
        ("What do people in {t} eat?", "Which food is eaten in {t}?"), RELATION["food"].values,
    ),
    "trade": TownRelation(
        "{t} is known for its {v}",
        ("Who is {t} known for?", "What is the trade of {t}?"), RELATION["job"].values,
    ),
    "craft": TownRelation(
        "in {t} you can buy a {v}",
        ("What can you buy in {t}?", "Which thing is sold in {t}?"), RELATION["thing"].values,
    ),
})  # fmt: skip


def _town_facts() -> dict[tuple[str, str], str]:
    random = Random("towns")
    return {(town, name): random.choice(relation.values) for town in TOWNS for name, relation in TOWN_RELATIONS.items()}


TOWN_FACTS = MappingProxyType(_town_facts())
"""(town, relation) -> value."""


def town_sentence(town: str, relation: str) -> str:
    """The fact as a clause: "the flag of Arlen is red"."""
    return TOWN_RELATIONS[relation].sentence.format(t=town, v=TOWN_FACTS[town, relation])


def town_question(town: str, relation: str, wording: int) -> str:
    return TOWN_RELATIONS[relation].questions[wording].format(t=town)


OPINIONS = MappingProxyType({
    "host": (("kind", "warm", "fair"), ("rude", "cold", "unfair")),
    "food": (("fresh", "warm", "lovely"), ("stale", "cold", "awful")),
    "room": (("clean", "bright", "lovely"), ("dirty", "dark", "awful")),
    "bed": (("clean", "soft", "warm"), ("dirty", "hard", "cold")),
    "view": (("lovely", "bright", "open"), ("awful", "dark", "dull")),
    "music": (("lovely", "soft", "bright"), ("awful", "loud", "dull")),
    "service": (("kind", "quick", "fair"), ("rude", "slow", "unfair")),
})  # fmt: skip
"""Part of a visit -> words of praise for it, words of blame."""


def review(random: Random, pleased: bool) -> str:
    """Two or three remarks on a visit, all of one tone; some deny the opposite ("not dirty")."""
    remarks = []
    for part in random.sample(sorted(OPINIONS), random.choice((2, 3))):
        denied = random.random() < 0.2
        word = random.choice(OPINIONS[part][0 if pleased != denied else 1])
        remarks.append(f"the {part} was {'not ' if denied else ''}{word}")
    return f"In {random.choice(TOWNS)} " + " and ".join(remarks) + "."


def _dictionary() -> dict[str, str]:
    """A word for every value of the world: two open syllables each, all different."""
    random = Random("oru")
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    values = [value for relation in RELATIONS for value in relation.values]
    words: dict[str, None] = {}
    while len(words) < len(values):
        words["".join(random.sample(syllables, 2))] = None
    return dict(zip(values, words, strict=True))


ORU = MappingProxyType(_dictionary())
"""English word -> word of Oru, the invented language."""

ORU_VERBS = MappingProxyType({"place": "ne", "thing": "ha", "colour": "ve", "food": "li", "job": "wo", "mood": "su"})
"""Relation -> verb of Oru."""


def in_oru(fact: Fact) -> str:
    """The fact in Oru, whose verb comes last: "Mira garu ne." says that Mira is in the garden."""
    return f"{fact.subject} {ORU[fact.value]} {ORU_VERBS[fact.relation]}."
