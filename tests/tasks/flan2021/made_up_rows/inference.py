"""Rows of natural language inference, paraphrase and coreference."""

from .tables import Table, numbered, table

_PAIRS = (
    ("The ferry to Vaasa leaves at nine every morning except on Sundays.", "A ferry leaves for Vaasa on Mondays."),
    ("Two boys in red shirts are kicking a ball on a beach.", "The boys are brothers."),
    ("Although the mill burned down in 1911, its chimney still stands.", "Nothing is left of the mill."),
    ("Uh-huh, well, we never really bothered with the garden.", "The speaker tended the garden with great care."),
    ("The museum lent four paintings to Ghent last spring.", "Ghent received paintings from the museum."),
    ("“I'd rather walk,” said Ilse, and took her coat.", "Ilse did not want to be driven."),
)
_LABELS = ("entailment", "neutral", "contradiction", "contradiction", "entailment", "entailment")
_PREMISES = tuple((*pair, label) for pair, label in zip(_PAIRS, _LABELS, strict=True))
_NO_CONSENSUS = ("A man sits on a bench.", "The man waits for somebody.", -1)


def _clause(sentence: str) -> str:
    """As CommitmentBank has its hypotheses."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def _two_way(label: str) -> str:
    return label if label == "entailment" else "not_entailment"


def _anli() -> Table:
    return table("uid context hypothesis label",
        ("a1", "Lake Orta is a lake in northern Italy, west of Lake Maggiore. It is named after the town of Orta.",
         "The lake's name comes from a town.", "e"),
        ("a2", "Mara Lindqvist (born 3 May 1961) is a Finnish cellist who taught in Turku from 1990 to 2004.",
         "Mara Lindqvist still plays every day.", "n"),
        ("a3", "The Trelawny Cup was played for eleven times; Harlow won it twice and Redditch never.",
         "Redditch won the Trelawny Cup once.", "c"),
        ("a4", "Copper Line is a 1988 film. It was shot in thirty days and never shown in a cinema.",
         "The film had its first night in a cinema in 1988.", "c"),
        ("a5", "The Wren Bridge, opened in 1874, was closed to carts in 1931 and to walkers in 1960.",
         "One could walk over the Wren Bridge in 1950.", "e"),
        ("a6", "Kamil Bures wrote two novels and a cookery book, the last of which was published after his death.",
         "The cookery book sold better than the novels.", "n"),
    )  # fmt: skip


_MRPC = (
    ("The company said it would close two plants in Ohio by March .",
     "By March , two Ohio plants will be closed , the company said .", 1),
    ("Shares of Belmont fell 4 percent to $ 31.20 on Tuesday .", "Belmont 's shares rose on Tuesday .", 0),
    ("Police found the car , but not the driver , on Friday night .",
     "On Friday night the police found both the car and its driver .", 0),
    ("The storm left 20,000 homes without power .", "Some 20,000 homes lost electricity in the storm .", 1),
    ("Mr. Hale declined to comment on the report .", "Hale would not comment on the report .", 1),
    ("The vote is expected next week .", "The vote was put off for a year .", 0),
)  # fmt: skip

_QUESTIONS = (
    ("How do I learn to swim as an adult?", "What is the best way for grown-ups to learn swimming?", 1),
    ("Why is the sky blue?", "Why is the sea salty?", 0),
    ('What does ""touch base"" mean?', "What is meant by touching base?", 1),
    ("Which laptop should I buy for $800?", "Which phone should I buy for $800?", 0),
    ("How can I sleep better?", "What can I do to sleep better at night?", 1),
    ("Is it safe to travel to Lima alone?", "How long is the flight to Lima?", 0),
)

_PAWS = (
    ("In 1902 , he moved from Lyon to Nice .", "In 1902 , he moved from Nice to Lyon .", 0),
    ("The river flows north into the lake .", "The river runs northwards into the lake .", 1),
    ("Anna taught Boris the violin .", "Boris taught Anna the violin .", 0),
    ("The tower was finished by Roth after Meier had begun it .", "Roth finished the tower that Meier had begun .", 1),
    ("It is found in Peru and in southern Chile .", "It is found in Chile and in southern Peru .", 0),
    ("The song was written by Dale and sung by Kerr .", "Dale wrote the song and Kerr sang it .", 1),
)

_STSB = (
    ("A man is playing a flute.", "A man plays the flute.", 5.0),
    ("A dog runs over the grass.", "A dog is running across a meadow.", 4.2),
    ("Three women are cooking.", "Three men are eating.", 1.4),
    ("A plane is landing.", "A child is drawing a house.", 0.0),
    ("Oil prices rise again", "Oil prices fall again", 2.5),
    ("A boy cuts paper.", "A boy is cutting out a paper star.", 3.6),
)

_WINOGRADS = (
    ("The trophy would not go into the case because it was too wide.", "The trophy was too wide.", 1),
    ("Lena thanked Olga because she had watered the plants.", "Lena had watered the plants.", 0),
    ("The bus passed the lorry because it was going so fast.", "The lorry was going so fast.", 0),
    ("Paul wrote to his uncle as soon as he heard the news.", "Paul heard the news.", 1),
    ("The lid does not fit the pot, for it is too small.", "The lid is too small.", 1),
    ("The pupils showed the visitors their drawings.", "The drawings were the visitors'.", 0),
)

_WSC = numbered(table("text span1_text span1_index span2_text span2_index label",
    ("Nora asked Vera for the key, but she had lost it.", "Vera", 2, "she", 7, "True"),
    ("Nora asked Vera for the key, but she had lost it.", "Nora", 0, "she", 7, "False"),
    ("The stone hit the window and it broke.", "the window", 3, "it", 6, "True"),
    ("The nurse told the doctor that he was wanted, since he was late.", "the doctor", 3, "he", 10, "True"),
    ("Old Tom sold Ned his boat when he went to sea.", "Ned", 3, "he", 7, "False"),
    ("The boys fed the ducks until they were full.", "the ducks", 3, "they", 6, "True"),
))  # fmt: skip

_WSC273 = numbered(table(
    "text option1 option1_normalized option2 option2_normalized pronoun_start pronoun_end pronoun_text label",
    *(
        (text, first, first, second, second, text.index(f" {pronoun} ") + 1,
         text.index(f" {pronoun} ") + 1 + len(pronoun), pronoun, label)
        for text, first, second, pronoun, label in (
            ("The jug would not fit on the shelf because it was too tall.", "The jug", "The shelf", "it", 0),
            ("The jug would not fit on the shelf because it was too low.", "The jug", "The shelf", "it", 1),
            ("Clara paid the baker after he had brought the bread.", "Clara's son", "The baker", "he", 1),
            ("The guards let the prisoners go because they had pity.", "The guards", "The prisoners", "they", 0),
            ("Rosa called Ines, but she did not answer.", "Rosa", "Ines", "she", 1),
            ("I put the cake next to the lamp, as it needed light.", "The cake", "The lamp", "it", 0),
        )
    ),
))  # fmt: skip

_PRONOUNS = table("sentence pronoun candidates label",
    ("The bees left the flowers because they had no nectar.", "they", ["bees", "flowers"], 1),
    ("The bees left the flowers because they were full.", "they", ["bees", "flowers"], 0),
    ("Ruth phoned Sara because she was bored.", "she", ["Ruth", "Sara"], 0),
    ("The dog bit the postman, and he fell.", "he", ["The dog", "the postman"], 1),
    ("The judge warned the lawyer that he was too loud.", "he", ["The judge", "the lawyer"], 1),
    ("The pan did not go into the oven, since it was too big.", "it", ["The pan", "the oven"], 0),
)  # fmt: skip

_WINOGRANDE = table("sentence option1 option2 label",
    ("Lara gave Petra her umbrella because _ had to walk home.", "Lara", "Petra", "2"),
    ("Lara kept the umbrella from Petra because _ had to walk home.", "Lara", "Petra", "1"),
    ("The rope held the boat until the _ tore.", "rope", "boat", "1"),
    ("Nothing is missing in this sentence.", "rope", "boat", "1"),
    ("He wore the scarf and not the hat, as the _ was warm and the _ was new.", "scarf", "hat", "1"),
    ("Dennis let Aaron sleep since _ was ill.", "Dennis", "Aaron", "2"),
    ("The soup was saltier than the stew, so we liked the _ more.", "soup", "stew", "2"),
)  # fmt: skip

ROWS: dict[str, Table] = {
    "anli/r1:0.1.0": _anli(),
    "anli/r2:0.1.0": _anli()[::-1],
    "anli/r3:0.1.0": _anli()[2:] + _anli()[:2],
    "super_glue/cb:1.0.2": numbered(
        table("premise hypothesis label", *((p, _clause(h), label) for p, h, label in _PREMISES))
    ),
    "super_glue/rte:1.0.2": numbered(
        table("premise hypothesis label", *((*pair, _two_way(label)) for *pair, label in _PREMISES))
    ),
    "glue/mnli:2.0.0": numbered(table("premise hypothesis label", ("", "Nothing.", 1), *_PREMISES)),
    "snli:1.1.0": table("premise hypothesis label", _NO_CONSENSUS, *_PREMISES),
    "glue/qnli:2.0.0": numbered(
        table("question sentence label",
            ("When was the canal opened?", "The canal, dug by hand, was opened in 1827.", 0),
            ("Who designed the station?", "The station has four tracks and a café.", 1),
            ("How many people live in Osk?", "Osk had 4,310 inhabitants in 2011.", 0),
            ("Why did the strike end?", "The strike ended in May.", 1),
            ("What is made in Brask?", "Brask is known for its glass.", 0),
            ("Where does the line end?", "The line was closed for repairs.", 1),
        )
    ),
    "glue/wnli:2.0.0": numbered(table("sentence1 sentence2 label", *_WINOGRADS)),
    "glue/mrpc:2.0.0": numbered(table("sentence1 sentence2 label", *_MRPC)),
    "glue/qqp:2.0.0": numbered(table("question1 question2 label", *_QUESTIONS)),
    "paws_wiki/labeled_final_tokenized:1.1.0": table("sentence1 sentence2 label", *_PAWS),
    "glue/stsb:2.0.0": numbered(table("sentence1 sentence2 label", *_STSB)),
    "super_glue/wsc:1.0.2": _WSC,
    "wsc273:1.0.0": _WSC273,
    "definite_pronoun_resolution:1.1.0": _PRONOUNS,
    "winogrande:1.2.0": _WINOGRANDE,
}  # fmt: skip
