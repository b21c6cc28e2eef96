"""Rows of sentiment, of topics and kinds, of grammar and of word senses, and of commonsense."""

from .tables import Table, numbered, table

_IMDB = table("text label",
    ("I went in expecting little.<br /><br />The first hour is slow, but the ending made me cry.", "pos"),
    ("Ninety minutes of people shouting in corridors. Avoid.", "neg"),
    ("Not even Marla Voss, who is good in anything, can save this script.", "neg"),
    ("A small film with a big heart. 9/10", "pos"),
    ("I laughed twice. I counted.", "neg"),
    ('The "twist" is no twist, yet I will watch it again tomorrow!', "pos"),
)  # fmt: skip

_TWEETS = table("text polarity",
    ("@annika_k thank you so much, you made my day", 4),
    ("the new terminal opens on monday", 2),
    ("missed the bus again and it is raining...", 0),
    ("concert tonight!!! can't wait", 4),
    ("my phone died in the middle of the call", 0),
    ("pancakes for breakfast :) best sunday", 4),
    ("i hate mondays, i hate mondays, i hate mondays", 0),
    date="Mon Apr 06 22:19:45 PDT 2009", query="NO_QUERY", user="somebody",
)  # fmt: skip

_YELP = table("text label",
    ('The waiter said \\""no problem\\"" and brought a second bowl.\\n\\nWe will be back!', "2"),
    ("Cold soup, rude staff and a hair in the salad. Never again.", "1"),
    (r"They lost my suit.\nThen they lost my shirt.", "1"),
    ("Best noodles in town, and open until two.", "2"),
    ("Overpriced and understaffed.", "1"),
    ("Friendly, quick and clean. What more could one want?", "2"),
)  # fmt: skip

_SST2 = numbered(table("sentence label",
    ("a gorgeous , witty , seductive movie ", 1),
    ("as flat as yesterday 's beer ", 0),
    ("it 's hard to care about any of these people . ", 0),
    ("quietly moving from the first frame to the last ", 1),
    ("never takes hold ", 0),
    ("works beautifully as a thriller . ", 1),
))  # fmt: skip

_NEWS = table("title description label",
    ("Rain Stops Play in Second Test", "Only nine overs were bowled on Saturday before the umpires gave up.", "Sports"),
    ("Ministers Meet on Border Dispute", "Talks between the two neighbours began in the capital on Monday.", "World"),
    ("Oil Slips Below #36;40", "Crude prices fell for a third day as stocks rose.", "Business"),
    ("Probe Sends First Pictures", "The craft reached the comet after a journey of nine years.", "Sci/Tech"),
    ("Chip Maker Cuts Forecast", "Demand for memory was weaker than expected, the firm said.", "Business"),
    ("Elections Put Off Again", "The commission named no new date.", "World"),
)  # fmt: skip

_TREC = table("text label-coarse label-fine",
    ("What is a typhoon ?", "DESC", "def"),
    ("Which animal sleeps standing up ?", "ENTY", "animal"),
    ("What does WHO stand for ?", "ABBR", "exp"),
    ("Who invented the zip ?", "HUM", "ind"),
    ("How many keys has a piano ?", "NUM", "count"),
    ("Where is the Gobi Desert ?", "LOC", "other"),
)  # fmt: skip

_COLA = numbered(table("sentence label",
    ("The more she reads, the less she sleeps.", 1),
    ("Which book did you say that why he bought?", 0),
    ("They was singing loudly the song.", 0),
    ("Nobody has seen anything.", 1),
    ("Him likes swimming.", 0),
    ("John put the vase on the table.", 1),
))  # fmt: skip

_WIC = numbered(table("word sentence1 sentence2 label start1 end1 start2 end2",
    ("bank", "We sat on the bank of the river.", "The bank closes at four.", "False", 14, 18, 4, 8),
    ("run", "She runs a small hotel.", "He ran the shop for years.", "True", 4, 8, 3, 6),
    ("light", "Light the candles.", "The room was full of light.", "False", 0, 5, 21, 26),
    ("break", "Break the seal.", "The vase broke.", "True", 0, 5, 9, 14),
    ("cold", "I caught a cold.", "A cold wind blew.", "False", 11, 15, 2, 6),
    ("paper", "A paper bag.", "Paper burns well.", "True", 2, 7, 0, 5),
))  # fmt: skip

_COPA = numbered(table("premise choice1 choice2 question label",
    ("The bottle fell off the table.", "It broke.", "It was full.", "effect", 0),
    ("The baby cried all night.", "It slept well.", "It had a tooth coming.", "cause", 1),
    ("The lights went out.", "We lit candles.", "We went swimming.", "effect", 0),
    ("My shoes were wet.", "I stood in a puddle.", "I bought new socks.", "cause", 0),
    ("The teacher lost his voice.", "The class sang.", "The lesson was cancelled.", "effect", 1),
    ("The queue grew longer.", "One till was closed.", "The shop was new.", "cause", 0),
))  # fmt: skip

_HELLASWAG = table("context endings activity_label label",
    ("A man stands on a ladder and cleans a window. He",
     ["wipes the glass with a cloth.", "plays the drums.", "swims to the shore.", "eats the ladder."],
     "Cleaning windows", 0),
    ("[header] How to boil an egg [title] Heat the water. [step] Fill a pot and put it on the stove.",
     ["[substeps] Use enough water to cover the egg.", "Paint the pot blue.", "Throw the egg away.",
      "Ask the egg."], "Food and Entertaining", 0),
    ("Two girls are skipping with a rope. One of them", ["trips and laughs.", "turns into a rope.",
     "is a car.", "drives off in a lorry."], "Rope skipping", 0),
    ("The test rows of this set have no label. They", ["go.", "stay.", "sit.", "run."], "Waiting", -1),
    ("A woman rubs soap over her hands. She", ["hangs the soap on a wall.", "rinses them under the tap.",
     "walks the dog along the tap.", "sells them."], "Washing hands", 1),
    ("[header] How to plant a bulb [title] Dig a hole. [step] It should be twice as deep as the bulb is high.",
     ["Fill it with coins.", "Sing.", "Dig with your teeth.", "[substeps] Loosen the soil at the bottom."],
     "Home and Garden", 3),
    ("A boy throws a ball at a hoop. The ball", ["opens a door.", "rings.", "bounces off the rim.",
     "reads a book."], "Basketball", 2),
    split_type="indomain", source_id="made~up",
)  # fmt: skip

_STORIES = table("context endings label",
    ("Ida baked a cake. She forgot the sugar. Her guests took one bite. They put down their forks.",
     ["Ida apologised and went to buy a cake.", "Ida was praised for her cake."], 1),
    ("Sam found a wallet. There was a card in it. He rang the number. A woman answered.",
     ["Sam threw the phone away.", "The woman came to fetch her wallet."], 2),
    ("Lea trained for months. The race began in the rain. She slipped at the start. She got up and ran on.",
     ["Lea finished proudly.", "Lea had never liked boats."], 1),
    ("This story was given out without its answer. It has four sentences. This is the third. Here it ends.",
     ["One ending.", "Another ending."], 0),
    ("The cat climbed a tree. It could not get down. A neighbour fetched a ladder. He climbed up slowly.",
     ["The cat wrote a letter.", "He carried the cat down."], 2),
    ("Omar missed his train. The next one was full. He walked home. It took three hours.",
     ["His feet hurt that evening.", "He won a million."], 1),
)  # fmt: skip

_PIQA = table("goal sol1 sol2 label",
    ("How do you keep a door open?", "Push a wedge under it.", "Push a wedge over it.", 0),
    ("To cool soup quickly,", "put the bowl on the stove.", "stir it and blow on it.", 1),
    ("Remove a sticker from glass.", "Soak it in warm water first.", "Freeze the glass in sand.", 0),
    ("shoelace", "can tie up a plant.", "can cut a plant.", 0),
    ("To sharpen a pencil,", "turn it in a bowl.", "turn it in a sharpener.", 1),
    ("When flour is lumpy,", "sieve it.", "boil it whole.", 0),
    id="",
)  # fmt: skip

ROWS: dict[str, Table] = {
    "imdb_reviews/plain_text:1.0.0": _IMDB,
    "sentiment140:1.0.0": _TWEETS,
    "yelp_polarity_reviews:0.2.0": _YELP,
    "glue/sst2:2.0.0": _SST2,
    "ag_news_subset:1.0.0": _NEWS,
    "trec:1.0.0": _TREC,
    "glue/cola:2.0.0": _COLA,
    "super_glue/wic:1.0.2": _WIC,
    "super_glue/copa:1.0.2": _COPA,
    "hellaswag:1.1.0": _HELLASWAG,
    "story_cloze/2016:1.0.0": _STORIES,
    "piqa:1.0.0": _PIQA,
}
