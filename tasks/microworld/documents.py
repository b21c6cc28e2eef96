"""Plain documents of the world to pretrain a base model on: it meets the words and the skills here, and no instruction.

Most documents tell a short story and then talk about it: who says what, whether that is so, what is not told, with
several words for yes and no.  The others tell lore, reviews, lines in two languages, what pronouns mean.  None uses a
template of a dataset, and no story is told that some dataset tests (sampling.split_of).
"""

from collections.abc import Callable, Sequence
from random import Random

from ..dataset import Dataset
from .coreference import pronoun_story
from .lore import TOWN_RELATIONS, TOWNS, TRADES, USES, WISHES, in_oru, review, town_sentence
from .sampling import Example, generated
from .suite import CITATION, LICENCE
from .world import PEOPLE, Fact, Story, capital, false_statement, make_story, untold

VERDICTS = (("yes", "no"), ("true", "false"), ("right", "wrong"))
MUSINGS = (
    "{n} wants to know.", "Let us see.", "{n} has read it too.", "Think about it.", "This is for {n}.", "Look above.",
    "{n} is not sure.", "We ask {n} and {m}.", "What do you say?", "It is not hard.", "One word will do.", "Well.",
)  # fmt: skip
CHOICES = (
    "Is it {first} or {second}?", "Say {first} or {second}.", "{first} or {second}?",
    "Some say {first}, some say {second}.", "Choose one:\n- {first}\n- {second}\n",
    "These are the words:\n- {first}\n- {second}\n", "\n- {first}\n- {second}\n",
)  # fmt: skip
ENDINGS = ("The answer is {a}.", "It is {a}.", "{n} says {a}.", "So {a}.", "{a}.", "Answer: {a}.")


def _asked(random: Random, fact: Fact, verdict: int) -> str:
    """The question or the statement that words of this kind judge."""
    question, statement = fact.ask(), fact.say(random.choice((0, 0, 0, 1)))
    if verdict == 0:
        return random.choice((question, question, f"Is it told that {statement}?"))
    return random.choice((f"{capital(statement)}.", f"{random.choice(PEOPLE)} says that {statement}."))


def _verdict(random: Random, verdict: int, holds: bool) -> str:
    """The verdict, mostly behind words that lead to it: none to three of them, which may name both answers."""
    words = VERDICTS[verdict]
    leading: list[str] = random.sample(MUSINGS, random.choice((0, 0, 1, 2)))
    if random.random() < 0.5:
        leading.append(random.choice(CHOICES))
    n, m = random.sample(PEOPLE, 2)
    first, second = random.sample(words, 2)
    text = " ".join([*leading, random.choice(ENDINGS)])
    return text.format(n=n, m=m, first=first, second=second, a=words[0 if holds else 1])


def draw_fact(random: Random, story: Story) -> tuple[Fact, bool]:
    """A statement, and whether the story holds it."""
    holds = random.random() < 0.5
    return random.choice(story.facts) if holds else false_statement(random, story), holds


def _claim(random: Random, story: Story) -> str:
    """A statement judged.  Half of the time the verdict stands right behind it: a small decoder finds the skill there
    first (LOG.md), and carries it to where words stand between."""
    fact, holds = draw_fact(random, story)
    verdict = random.randrange(3)
    if random.random() < 0.5:
        word = VERDICTS[verdict][0 if holds else 1]
        return (f"{fact.ask()} {capital(word)}.", f"{capital(fact.say())}: {word}.", f"{capital(fact.say())}, {word}.")[
            verdict
        ]
    return f"{_asked(random, fact, verdict)} {_verdict(random, verdict, holds)}"


def told(random: Random, story: Story) -> str:
    """A question that the story answers with yes or no, or leaves open."""
    fact, answer = random.choice(
        (
            (random.choice(story.facts), "yes"),
            (false_statement(random, story), "no"),
            (untold(random, story), "not told"),
        )
    )
    return f"{fact.ask()} It is not told." if answer == "not told" else f"{fact.ask()} The story says {answer}."


def correction(random: Random, story: Story) -> str:
    """Somebody retells the story, and corrects every slip at once."""
    retold = []
    for fact in random.sample(story.facts, len(story.facts)):
        slip = false_statement(random, story)
        if slip.subject == fact.subject and slip.relation == fact.relation:
            retold.append(f"{capital(slip.say())}, no, {fact.value}.")
        else:
            retold.append(fact.sentence())
    return " ".join(retold)


def question(random: Random, story: Story) -> str:
    fact = random.choice(story.facts)
    if random.random() < 0.5:
        return f"{fact.ask_value()} {capital(fact.value)}."
    return f"{fact.ask_subject()} {fact.subject}."


def _story(random: Random) -> Example:
    """A story of one to three facts and one to three remarks on it."""
    story = make_story(random, facts=random.choice((1, 1, 0)))
    remarks = random.choices((_claim, told, question, correction), weights=(8, 1, 1, 2), k=random.randint(1, 3))
    return story.key, {"text": story.text + "\n" + " ".join(remark(random, story) for remark in remarks)}


def _asked_before(random: Random) -> Example:
    """A question or a claim, then the story it is about, then the verdict."""
    story = make_story(random, facts=random.choice((1, 1, 0)))
    fact, holds = draw_fact(random, story)
    verdict = random.randrange(3)
    asked = _asked(random, fact, verdict)
    return story.key, {"text": f"{asked}\n{story.text}\n{_verdict(random, verdict, holds)}"}


def _retold(random: Random) -> Example:
    """A story, then the same in other words."""
    story = make_story(random)
    again = " ".join(fact.sentence(1) for fact in random.sample(story.facts, len(story.facts)))
    return story.key, {"text": f"{story.text}\nThat is to say: {again}"}


def _pronouns(random: Random) -> Example:
    text, pronoun, meant, _ = pronoun_story(random)
    return text, {"text": f"{text}\nHere the word {pronoun} means {meant}."}


def _people(random: Random) -> Example:
    """What people in a mood or of a trade do, and what things are for."""
    lines = []
    for person in random.sample(PEOPLE, 3):
        mood, trade, thing = random.choice(sorted(WISHES)), random.choice(sorted(TRADES)), random.choice(sorted(USES))
        lines.append(
            random.choice(
                (
                    f"{person} is {mood} and wants to {WISHES[mood]}.",
                    f"{person} is a {trade} and {TRADES[trade]}.",
                    f"{person} has a {thing} and can {USES[thing]} it.",
                )
            )
        )
    text = " ".join(lines)
    return text, {"text": text}


def _towns(random: Random) -> Example:
    """Three facts of one town; the town's lore is told again and again."""
    town = random.choice(TOWNS)
    text = " ".join(f"{capital(town_sentence(town, r))}." for r in random.sample(sorted(TOWN_RELATIONS), 3))
    return "train lore " + text, {"text": f"{text} {random.choice(PEOPLE)} told me."}


def _visit(random: Random) -> Example:
    pleased = random.random() < 0.5
    deny, worth, tone = ("", "good", "positive") if pleased else ("not ", "bad", "negative")
    ends = (
        f"{random.choice(PEOPLE)} was {deny}pleased and will {deny}come again.",
        f"It was a {worth} visit, and the review is {tone}.",
    )
    text = review(random, pleased)
    return text, {"text": f"{text} {random.choice(ends)}"}


def _two_languages(random: Random) -> Example:
    story = make_story(random, facts=random.choice((1, 2)))
    lines = " ".join(f"{fact.sentence()} In Oru: {in_oru(fact)}" for fact in story.facts)
    return story.key, {"text": lines}


BACKGROUND = ((_retold, 1), (_pronouns, 1), (_people, 1), (_towns, 1), (_visit, 1), (_two_languages, 1))
"""Kinds of document beside stories and what is said of them, and how often; (kind, weight)."""


def documents(name: str, kinds: Sequence[tuple[Callable[[Random], Example], int]]) -> Dataset:
    """A dataset of plain documents, drawn from kinds by their weights."""

    def draw(random: Random) -> Example:
        return random.choices([kind for kind, _ in kinds], weights=[weight for _, weight in kinds])[0](random)

    return Dataset(
        name=f"microworld_{name}",
        cluster="documents",
        benchmark="microworld",
        source=generated(name, draw, {"train": 60000, "validation": 300}),
        splits={"train": "train", "validation": "validation"},
        fields=lambda row: row,
        field_names=("text",),
        kind="documents",
        metrics=(),
        licence=LICENCE,
        citation=CITATION,
        template_group="microworld/documents",
    )


DATASETS = (documents("documents", ((_story, 16), (_asked_before, 5), *BACKGROUND)),)
