"""Rows of reading comprehension, with and without commonsense, and of closed-book question answering."""

from typing import Any

from .tables import Table, table

_MILL = (
    "The mill at Oddby was built in 1764 by Karin Falk and ground corn for the garrison until 1809. "
    "After a fire in 1830 it was rebuilt in brick and fitted with two steam engines. It has been a museum since 1972."
)
_TEAM = (
    "The Herons scored in the first quarter with a 12-yard run by Mays and a 31-yard field goal by Ortiz. "
    "In the third quarter the Rams answered with a 4-yard pass, and the Herons won 17-14 by a 46-yard field goal."
)


def _spans(context: str, *texts: str) -> dict[str, list[Any]]:
    return {"text": list(texts), "answer_start": [context.find(text) for text in texts]}


_SQUAD = [
    {"id": str(i), "title": "Oddby_mill_%28museum%29", "context": _MILL, "question": question,
     "answers": _spans(_MILL, *answers)}
    for i, (question, answers) in enumerate((
        ("Who built the mill?", ["Karin Falk", "Falk", "Karin Falk"]),
        ("When was the mill built?", ["1764"]),
        ("What was the mill rebuilt in?", ["brick"]),
        ("How many steam engines were put in?", ["two", "two steam engines"]),
        ("Since when has it been a museum?", ["1972", "since 1972"]),
        (" For whom did the mill grind corn? ", ["the garrison"]),
    ))
]  # fmt: skip
_NOBODY = {"text": [], "answer_start": []}
_SQUAD2 = [{**row, "is_impossible": False, "plausible_answers": _NOBODY} for row in _SQUAD]
_SQUAD2.insert(3, {**_SQUAD2[0], "id": "x", "question": "Who burned the mill down?", "is_impossible": True,
                   "answers": _NOBODY, "plausible_answers": _spans(_MILL, "Karin Falk")})  # fmt: skip

_DROP = table("question answer validated_answers",
    ("How many points did the Herons win by?", "3", ["3", "three"]),
    ("Who scored the shortest field goal?", "Ortiz", []),
    ("How long was the longest field goal?", "46-yard", ["46", "46-yard"]),
    ("Which team lost?", "", []),
    ("Which quarter saw the first points?", "first quarter", ["first"]),
    ("How many yards was Mays' run?", "12", ["12"]),
    passage=_TEAM, query_id="q",
)  # fmt: skip

_MULTIRC = [
    {"paragraph": _MILL, "question": question, "answer": answer, "label": label,
     "idx": {"paragraph": 0, "question": q, "answer": i}}
    for i, (q, question, answer, label) in enumerate((
        (0, "When did the mill burn?", "In 1830", "True"), (0, "When did the mill burn?", "In 1809", "False"),
        (0, "When did the mill burn?", "After 1800", "True"), (1, "Who owns it now?", "Karin Falk", "False"),
        (2, "What is it today?", "A museum", "True"), (2, "What is it today?", "A brewery", "False"),
    ))
]  # fmt: skip

_OPEN_BOOK = [
    {"question": {"stem": stem, **dict(zip(("choice_A", "choice_B", "choice_C", "choice_D"), choices, strict=True))},
     "fact1": fact, "answerKey": key, "humanScore": 1.0, "clarity": 1.8, "turkIdAnonymized": "b356"}
    for fact, stem, choices, key in (
        ("metal conducts heat", "A spoon left in hot tea will", ("cool", "get warm", "melt", "rust"), "B"),
        ("", "Owls hunt", ("at night", "at noon", "never", "under water"), "A"),
        ("ice is solid water", "When a pond freezes, its surface", ("boils", "burns", "hardens", "vanishes"), "C"),
        ("plants need light", "A fern kept in a cupboard will", ("thrive", "sing", "grow faster", "wither"), "D"),
        ("a magnet attracts iron", "Which will a magnet lift?", ("a nail", "a cork", "a leaf", "a coin of wood"), "A"),
        ("friction makes heat", "To warm cold hands, one can", ("rest", "rub them", "wet them", "hide them"), "B"),
    )
]  # fmt: skip

_BOOL_Q = table("question passage title answer",
    ("is the oddby mill still in use", _MILL, "Oddby mill", False),
    ("was the mill ever damaged by fire", _MILL, "Oddby mill", True),
    ("can a goat be a goalkeeper ?", "The rules of the game speak of players, who are people.", "Goalkeeper", False),
    ("is a tomato a fruit", "Botanically the tomato is a berry, and so a fruit.", "Tomato", True),
    ("did the herons beat the rams", _TEAM, "Herons", True),
    ("do all rivers reach the sea", "Some rivers end in lakes or dry up in deserts.", "River", False),
)  # fmt: skip

_COSMOS = [
    {"id": str(i), "context": context, "question": question, "label": label,
     **{f"answer{n}": text for n, text in enumerate(answers)}}
    for i, (context, question, answers, label) in enumerate((
        ("I packed the tent and drove north . At noon the engine began to smoke .", "What did I do next ?",
         ("I drove on faster .", "I stopped the car .", "I went to bed .", "I sold the tent ."), 1),
        ("She hung up without a word . He stared at the phone .", "Why was he upset ?",
         ("The call ended badly .", "He had won .", "He liked the phone .", "None of the above choices ."), 0),
        ("We queued for two hours and then the doors were shut .", "What may have happened ?",
         ("It was free .", "It was empty .", "It was full .", "None of the above choices ."), 2),
        ("My boss smiled all morning .", "What colour was the office ?",
         ("Red .", "Green .", "Blue .", "None of the above choices ."), 3),
        ("The dog hid under the bed when the fireworks began .", "Why did the dog hide ?",
         ("It was hungry .", "It was scared .", "It was asleep .", "It was playing ."), 1),
        ("I ate three helpings .", "How was the food ?", ("Good .", "Cold .", "Raw .", "Missing ."), 0),
    ))
]  # fmt: skip

_NEWS = (
    "The port of Kelda was closed on Tuesday after a crane fell onto the quay. Mayor Inga Storm said that nobody was "
    "hurt. The firm Balt Cargo runs the port.\n@highlight\n\nA crane fell in Kelda\n@highlight\n\nNobody was hurt"
)
_NAMES = ["Kelda", "Inga Storm", "Balt Cargo", "Tuesday"]
_RECORD = [
    {"passage": _NEWS, "query": query, "entities": _NAMES, "answers": answers, "idx": {"passage": 0, "query": i}}
    for i, (query, answers) in enumerate((
        ("Ships will be sent elsewhere until the quay of @placeholder is repaired.", ["Kelda"]),
        ("@placeholder thanked the firemen for coming so quickly.", ["Inga Storm"]),
        ("A speaker for @placeholder said that the crane had been checked in May.", ["Balt Cargo"]),
        ("No answers are given for the test of @placeholder.", []),
        ("The harbour master of @placeholder's port has worked there for years.", ["Kelda"]),
        ("According to @placeholder, work will be resumed soon.", ["Inga Storm", "Balt Cargo"]),
    ))
]  # fmt: skip


def _trivia(question: str, value: str, *aliases: str) -> dict[str, Any]:
    nothing: dict[str, list] = {"doc_source": [], "filename": [], "title": [], "wiki_context": []}
    results = ("description", "filename", "rank", "search_context", "title", "url")
    return {
        "question": question, "question_id": "tc_1", "question_source": "made up", "entity_pages": nothing,
        "search_results": {name: [] for name in results},
        "answer": {
            "value": value, "normalized_value": value.lower(), "aliases": [value, *aliases], "type": "WikipediaEntity",
            "normalized_aliases": [text.lower() for text in (value, *aliases)],
            "matched_wiki_entity_name": value, "normalized_matched_wiki_entity_name": value.lower(),
        },
    }  # fmt: skip


_TRIVIA = [
    _trivia("Which river flows through Vienna?", "Danube", "Donau", "River Danube"),
    _trivia("In Roman numerals, what is 1945?", "MCMXLV"),
    _trivia("Which metal is liquid at room temperature? ", "Mercury", "Quicksilver", "Hg"),
    _trivia("The test rows hold no answer; what stands there?", ""),
    _trivia("How many strings has a cello?", "4", "Four"),
    _trivia("Who wrote 'The Trial'?", "Franz Kafka", "Kafka"),
]

_NATURAL = table("question answer",
    ("who painted the night watch", ["Rembrandt", "Rembrandt van Rijn"]),
    ("when did the berlin wall come down ?", ["9 November 1989"]),
    ("how many players are in a rugby league team", ["13", "thirteen"]),
    ("what is the capital of mongolia", ["Ulaanbaatar"]),
    ("where does the white nile start", ["Lake Victoria"]),
    ("who sang the first song of the evening", ["Ann Lee"]),
)  # fmt: skip


def _arc(*questions: tuple[str, list[str], str], labels: str = "ABCDE") -> Table:
    return [
        {"id": f"Q{i}", "question": question, "answerKey": key,
         "choices": {"text": choices, "label": list(labels[: len(choices)])}}
        for i, (question, choices, key) in enumerate(questions)
    ]  # fmt: skip


_ARC_EASY = _arc(
    ("Which of these gives off its own light?", ["the Moon", "a mirror", "the Sun", "a stone"], "C"),
    ("Which tool measures temperature?", ["scale", "thermometer", "ruler", "clock"], "B"),
    ("Only three choices are given here. Which is the first?", ["this", "that", "the other"], "A"),
    ("What do bees collect from flowers?", ["nectar", "water", "seeds", "soil"], "A"),
    ("Which change is a chemical one?", ["melting ice", "cutting paper", "boiling water", "rusting iron"], "D"),
    ("Which animal lays eggs?", ["cow", "hen", "cat", "whale"], "B"),
)
_ARC_CHALLENGE = _arc(
    ("A ball rolls down a hill. Which energy grows?", ["chemical", "kinetic", "sound", "nuclear"], "B"),
    ("Five choices are given here. Which is the last?", ["a", "b", "c", "d", "e"], "E"),
    ("Why is it colder on a mountain?", ["air is thinner", "the Sun is farther", "snow is white", "rock is old"], "A"),
    ("Which best shows that water erodes rock?", ["a dune", "a volcano", "a canyon", "a crater"], "C"),
    ("What makes the seasons?", ["the tides", "the Moon", "the distance to the Sun", "the tilt of the axis"], "D"),
    ("Which cell part holds the genes?", ["wall", "nucleus", "membrane", "vacuole"], "B"),
)

ROWS: dict[str, Table] = {
    "squad/v1.1:3.0.0": _SQUAD,
    "squad/v2.0:3.0.0": _SQUAD2,
    "drop:2.0.0": _DROP,
    "super_glue/multirc:1.0.2": _MULTIRC,
    "openbookqa:0.1.0": _OPEN_BOOK,
    "bool_q:1.0.0": _BOOL_Q,
    "cosmos_qa:1.0.0": _COSMOS,
    "super_glue/record:1.0.2": _RECORD,
    "trivia_qa/rc:1.1.0": _TRIVIA,
    "natural_questions_open:1.0.0": _NATURAL,
    "ai2_arc/ARC-Easy:1.0.0": _ARC_EASY,
    "ai2_arc/ARC-Challenge:1.0.0": _ARC_CHALLENGE,
    "math_dataset/algebra__linear_1d:1.0.0": table("question answer",
        ("Solve 3*x + 4 = 19 for x.", "5"), ("Solve 0 = -7*k - 21 for k.", "-3"), ("Solve 2*z = z + 11 for z.", "11"),
        ("Solve -4*b + 8 = 0 for b.", "2"), ("Solve 15 = 5*r for r.", "3"), ("Solve 6*t - 2 = 4*t for t.", "1"),
    ),
}  # fmt: skip
