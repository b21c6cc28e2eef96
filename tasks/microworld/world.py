"""The vocabulary of the world, and stories: two or three told facts about different people.

The vocabulary is closed and small on purpose: what is measured on the suite is whether a small decoder can bind,
compare and follow an instruction, not how many words it can hold.
"""

import dataclasses
from random import Random

WOMEN = ("Mira", "Ida", "Lena", "Nora", "Rosa", "Vera", "Anna", "Elsa", "Tilda", "Clara")
MEN = ("Tom", "Otto", "Hugo", "Ben", "Carl", "Emil", "Finn", "Paul", "Max", "Leo")
PEOPLE = WOMEN + MEN


@dataclasses.dataclass(frozen=True)
class Relation:
    """A kind of fact.  `sentences[0]` is the plain wording; the others say the same.  All take {s} (who) and {v}."""

    name: str
    values: tuple[str, ...]
    sentences: tuple[str, ...]
    yes_no: str
    what: str
    who: str


RELATIONS = (
    Relation(
        "place",
        ("garden", "kitchen", "market", "forest", "school", "barn", "tower", "library", "mill", "castle"),
        ("{s} is in the {v}", "the {v} is where {s} is"),
        "Is {s} in the {v}?", "Where is {s}?", "Who is in the {v}?",
    ),
    Relation(
        "thing",
        ("kite", "drum", "lamp", "rope", "boat", "bell", "map", "basket", "ladder", "flute"),
        ("{s} has a {v}", "the {v} belongs to {s}"),
        "Does {s} have a {v}?", "What does {s} have?", "Who has a {v}?",
    ),
    Relation(
        "colour",
        ("red", "blue", "green", "yellow", "black", "white", "brown", "grey"),
        ("{s} wears a {v} coat", "the {v} coat is worn by {s}"),
        "Does {s} wear a {v} coat?", "Which colour is the coat of {s}?", "Who wears a {v} coat?",
    ),
    Relation(
        "food",
        ("soup", "bread", "honey", "rice", "cheese", "cake", "fish", "salad", "corn", "pie"),
        ("{s} likes {v}", "{v} is what {s} likes"),
        "Does {s} like {v}?", "What does {s} like?", "Who likes {v}?",
    ),
    Relation(
        "job",
        ("baker", "farmer", "doctor", "teacher", "sailor", "singer", "painter", "guard", "weaver", "cook"),
        ("{s} is a {v}", "{s} works as a {v}"),
        "Is {s} a {v}?", "What is the job of {s}?", "Who is a {v}?",
    ),
    Relation(
        "mood",
        ("happy", "sad", "tired", "hungry", "calm", "proud", "scared", "bored"),
        ("{s} is {v}", "{s} feels {v}"),
        "Is {s} {v}?", "How is {s}?", "Who is {v}?",
    ),
)  # fmt: skip
RELATION = {relation.name: relation for relation in RELATIONS}


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


@dataclasses.dataclass(frozen=True)
class Fact:
    """Somebody, a relation's name, and one of its values."""

    subject: str
    relation: str
    value: str

    def say(self, wording: int = 0) -> str:
        """The fact as a clause without capital and full stop: "Mira is in the garden"."""
        return RELATION[self.relation].sentences[wording].format(s=self.subject, v=self.value)

    def sentence(self, wording: int = 0) -> str:
        return capital(self.say(wording)) + "."

    def ask(self) -> str:
        """The yes-no question: "Is Mira in the garden?"."""
        return RELATION[self.relation].yes_no.format(s=self.subject, v=self.value)

    def ask_value(self) -> str:
        """The question whose answer is the value: "Where is Mira?"."""
        return RELATION[self.relation].what.format(s=self.subject)

    def ask_subject(self) -> str:
        """The question whose answer is the person: "Who is in the garden?"."""
        return RELATION[self.relation].who.format(v=self.value)


@dataclasses.dataclass(frozen=True)
class Story:
    """Facts about different people in the order told; each person has one fact, so the rest is not told."""

    facts: tuple[Fact, ...]

    @property
    def text(self) -> str:
        return " ".join(fact.sentence() for fact in self.facts)

    @property
    def key(self) -> str:
        """The same for every order in which these facts can be told: splits are kept apart by it."""
        return " ".join(sorted(fact.sentence() for fact in self.facts))


def make_story(random: Random, facts: int = 0) -> Story:
    """So many facts, two or three when `facts` is 0.  Where there are two, two share a relation and can be confused."""
    facts = facts or random.choice((2, 3))
    first, other = random.sample(RELATIONS, 2)
    relations = [first, first, other, other][:facts]
    random.shuffle(relations)
    people = random.sample(PEOPLE, facts)
    values: dict[str, list[str]] = {r.name: random.sample(r.values, facts) for r in (first, other)}
    return Story(tuple(Fact(p, r.name, values[r.name].pop()) for p, r in zip(people, relations, strict=True)))


def swapped(random: Random, story: Story) -> Fact:
    """A false statement made of told parts: one person's fact with another's value of the same relation."""
    pairs = [(a, b) for a in story.facts for b in story.facts if a.subject != b.subject and a.relation == b.relation]
    a, b = random.choice(pairs)
    return Fact(a.subject, a.relation, b.value)


def altered(random: Random, story: Story) -> Fact:
    """A false statement: a told person and relation with a value that the story does not have."""
    fact = random.choice(story.facts)
    told = {f.value for f in story.facts}
    others = [value for value in RELATION[fact.relation].values if value not in told]
    return Fact(fact.subject, fact.relation, random.choice(others))


def false_statement(random: Random, story: Story) -> Fact:
    """A statement that the story speaks against: a third of them hard (`swapped`), if it has two facts, else easy."""
    hard = len(story.facts) > 1 and random.random() < 1 / 3
    return (swapped if hard else altered)(random, story)


def untold(random: Random, story: Story) -> Fact:
    """A statement about a told person in a relation that is not told of them: it may be so or not."""
    fact = random.choice(story.facts)
    relation = random.choice([r for r in RELATIONS if r.name != fact.relation])
    return Fact(fact.subject, relation.name, random.choice(relation.values))
