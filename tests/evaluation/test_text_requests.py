"""Text to tokens: cut where the context ends, boundary cases counted, contexts shared."""

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from flan_jax.data.tokenizer_json import TokenizerJsonVocabulary
from flan_jax.evaluation.text_requests import (
    MOST_OPTIONS,
    Pair,
    TextRequestError,
    encode_pairs,
    fit_pairs,
    share_contexts,
)
from tests.evaluation.prepared import VOCABULARY
from tests.evaluation.test_requests import Beginning

MERGES = [("l", "t"), ("lt", "s"), ("e", "r"), ("w", "er"), ("Ġ", "y"), ("s", "wer")]


@pytest.fixture(scope="module")
def merging(tmp_path_factory) -> TokenizerJsonVocabulary:
    """Byte-level BPE with a few merges: "lt", "lts", "er", "wer", " y", "swer"."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "</s>", *letters, *(a + b for a, b in MERGES)]
    bpe = models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=MERGES)
    tokenizer = tokenizers.Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer.add_special_tokens(["<s>", "</s>"])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(tokenizer.to_str())
    return TokenizerJsonVocabulary(path, 1, 0)


def texts(vocabulary, pair) -> tuple[str, str]:
    context = [token for token in pair.context.tolist() if token != vocabulary.bos_id]
    return vocabulary.decode(context), vocabulary.decode(pair.continuation.tolist())


def test_spaces_at_the_end_of_a_context_belong_to_the_continuation(merging):
    (plain, spaced), counts = encode_pairs(merging, [("Is it?", " yes"), ("Is it? ", "yes")])
    assert plain.context.tolist() == spaced.context.tolist()
    assert plain.continuation.tolist() == spaced.continuation.tolist()
    assert texts(merging, plain) == ("Is it?", " yes") and plain.context[0] == 0
    assert not counts


def test_a_token_across_the_boundary_is_scored_whole_and_counted(merging):
    """ "result" ends in "lt", which stands in neither part: what both begin with alike is the context."""
    asked = [("An", "swer"), ("Ans", "wer"), ("Ans", "wering"), ("resul", "t"), ("Is it?", " yes")]
    cut = [("An", "swer"), ("An", "swer"), ("An", "swering"), ("resu", "lt"), ("Is it?", " yes")]
    pairs, counts = encode_pairs(merging, asked)
    assert [texts(merging, pair) for pair in pairs] == cut
    assert counts == {"boundary_differs": 3}
    for (context, continuation), pair in zip(asked, pairs, strict=True):
        whole = [0, *merging.encode([context + continuation])[0]]
        assert [*pair.context.tolist(), *pair.continuation.tolist()] == whole


def test_the_harness_s_cut_keeps_the_context_and_scores_what_is_left(merging):
    """Where nothing is left, which the harness cannot ask, the common prefix is used."""
    pairs, counts = encode_pairs(merging, [("Ans", "wering"), ("resul", "t")], cut="harness")
    context = [0, *merging.encode(["Ans"])[0]]
    assert pairs[0].context.tolist() == context
    assert pairs[0].continuation.tolist() == [0, *merging.encode(["Answering"])[0]][len(context) :]
    assert texts(merging, pairs[1]) == ("resu", "lt")
    assert counts == {"boundary_differs": 2}


def test_an_empty_context_is_the_start_of_a_document(merging):
    for vocabulary, start in ((merging, 0), (VOCABULARY, 1), (Beginning(), 2)):
        (pair, spaces), counts = encode_pairs(vocabulary, [("", " yes"), (" ", "yes")])
        assert pair.context.tolist() == spaces.context.tolist() == [start] and counts == {"empty_context": 2}
        assert vocabulary.decode(pair.continuation.tolist()) == " yes"
        assert pair.continuation.tolist() == spaces.continuation.tolist()


def test_nothing_to_score_is_named():
    with pytest.raises(TextRequestError, match="the continuation behind 'Is it' is empty"):
        encode_pairs(VOCABULARY, [("Is it", "")])


def test_a_context_that_is_one_token_with_its_continuation_needs_a_bos(merging):
    without = TokenizerJsonVocabulary("", 1, None, content=merging.content)
    with pytest.raises(TextRequestError, match=r"'l' \+ 't' no token is left to stand in front.*BOS"):
        encode_pairs(without, [("l", "t")])
    (pair,), _ = encode_pairs(merging, [("l", "t")])
    assert pair.context.tolist() == [0]


def test_equal_contexts_are_one_question_and_equal_continuations_one_option():
    asked = [("Is it?", " yes"), ("Is it?", " no"), ("Was it?", " no"), ("Is it?", " yes"), ("Is it? ", "maybe")]
    pairs, _ = encode_pairs(VOCABULARY, asked)
    shared = share_contexts(pairs)
    assert [len(question.options) for question in shared.questions] == [3, 1]
    for pair, question, option in zip(pairs, shared.question, shared.option, strict=True):
        np.testing.assert_array_equal(shared.questions[question].context, pair.context)
        np.testing.assert_array_equal(shared.questions[question].options[option], pair.continuation)


def test_a_context_with_very_many_continuations_becomes_several_questions():
    asked = [("", f" option {i} of many" + "!" * (i % 9)) for i in range(100)]
    pairs, _ = encode_pairs(VOCABULARY, [*asked, *asked[:3]])
    shared = share_contexts(pairs)
    assert all(sum(map(len, question.options)) <= MOST_OPTIONS for question in shared.questions)
    assert sum(len(question.options) for question in shared.questions) == 100
    for pair, question, option in zip(pairs, shared.question, shared.option, strict=True):
        np.testing.assert_array_equal(shared.questions[question].options[option], pair.continuation)
    (long,) = share_contexts(
        [Pair(np.arange(1000, dtype=np.int32), np.full(400, i, np.int32)) for i in range(5)]
    ).questions
    assert len(long.options) == 5


def test_a_long_context_loses_its_beginning_but_not_its_bos():
    pairs, _ = encode_pairs(Beginning(), [("0123456789", " yes"), ("0123456789", " certainly")])
    (one, two), cut = fit_pairs(pairs, window=14, keep=1)
    assert cut == 1 and one.context.tolist() == pairs[0].context.tolist()
    assert two.context.tolist() == [2, *(ord(c) + 3 for c in "6789")]
    assert len(two.context) + len(two.continuation) - 1 == 14
    (bare,), _ = fit_pairs(pairs[1:], window=14)
    assert bare.context.tolist() == [ord(c) + 3 for c in "56789"]
    with pytest.raises(TextRequestError, match=r"10 tokens leaves no room .* window of 10; .*DecoderConfig.max_length"):
        fit_pairs(pairs, window=10, keep=1)


def test_options_of_a_question_are_cut_alike():
    pairs, _ = encode_pairs(Beginning(), [("0123456789", " yes"), ("0123456789", " certainly"), ("01234", " yes")])
    fitted, cut = fit_pairs(pairs, window=14, keep=1, questions=["a", "a", "b"])
    assert cut == 2 and fitted[0].context.tolist() == fitted[1].context.tolist()
    assert len(share_contexts(fitted).questions) == 2
    np.testing.assert_array_equal(fitted[2].context, pairs[2].context)
