"""OpenAI's own client gets completions, with log-probabilities, streamed, many at once."""

import asyncio

import numpy as np
import openai
import pytest

from flan_jax.decoding.prompt_scores import score_prompt
from flan_jax.decoding.settings import Decoding
from flan_jax.evaluation.generation import generate
from tests.evaluation.questions import make_request
from tests.serving.conftest import MODEL, NAME, VOCABULARY

PROMPT = "Is it so?"


@pytest.fixture(scope="module")
def greedy(served) -> str:
    """What the model says to PROMPT, by the way that evaluation generates."""
    return continuation(served, PROMPT, 12)


def continuation(served, prompt: str, new: int) -> str:
    request = make_request(VOCABULARY.encode([prompt])[0], (), new_tokens=new)
    return generate(MODEL, served.params, [request], VOCABULARY.eos_id, VOCABULARY.decode, Decoding())[0].text


def complete(served, **settings):
    defaults = {"model": NAME, "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    return served.client.completions.create(**defaults | settings)


def test_a_completion(served, greedy):
    got = complete(served)
    assert (got.choices[0].text, got.choices[0].finish_reason, got.model) == (greedy, "length", NAME)
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (9, 12, 21)
    assert [model.id for model in served.client.models.list()] == [NAME]
    assert served.client.models.retrieve(NAME).id == NAME


def test_prompts_of_every_form_and_their_order(served, greedy):
    tokens = VOCABULARY.encode([PROMPT])[0]
    other = continuation(served, "No.", 12)
    for prompt in (tokens, [tokens, VOCABULARY.encode(["No."])[0]], [PROMPT, "No."]):
        texts = [choice.text for choice in complete(served, prompt=prompt).choices]
        assert texts == [greedy, other][: len(texts)]


def test_log_probabilities_with_echo_are_those_of_the_whole_text(served, greedy):
    choice = complete(served, logprobs=3, echo=True).choices[0]
    assert choice.text == PROMPT + greedy
    told = choice.logprobs
    tokens = [*VOCABULARY.encode([PROMPT])[0], *(complete_tokens(served))]
    whole = score_prompt(MODEL, served.params, np.array(tokens))
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    np.testing.assert_allclose(told.token_logprobs[1:], whole.scores, atol=1e-4)
    assert len(told.tokens) == len(told.text_offset) == len(tokens)
    assert told.text_offset == sorted(told.text_offset) and told.text_offset[9] == 9
    for token, score, tops in list(zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True))[9:]:
        assert max(tops.values()) == tops[token] == score, "it was greedy"


def complete_tokens(served) -> list[int]:
    request = make_request(VOCABULARY.encode([PROMPT])[0], (), new_tokens=12)
    return generate(MODEL, served.params, [request], VOCABULARY.eos_id, VOCABULARY.decode)[0].tokens


def test_scoring_alone(served):
    """What harnesses ask: a prompt's log-probabilities and nothing more."""
    choice = complete(served, max_tokens=0, echo=True, logprobs=1).choices[0]
    assert choice.text == PROMPT and choice.finish_reason == "length"
    assert len(choice.logprobs.token_logprobs) == 9
    greedy = [max(tops, key=tops.get) == token for token, tops in
              zip(choice.logprobs.tokens[1:], choice.logprobs.top_logprobs[1:], strict=True)]  # fmt: skip
    assert not all(greedy)


def test_streaming_says_the_same_in_parts(served):
    whole = complete(served, max_tokens=60, logprobs=2, n=2, temperature=1, seed=5, echo=True)
    stream = complete(
        served, max_tokens=60, logprobs=2, n=2, temperature=1, seed=5, echo=True, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    parts = list(stream)
    assert parts[-1].usage == whole.usage and not parts[-1].choices
    for index, expected in enumerate(whole.choices):
        mine = [part.choices[0] for part in parts[:-1] if part.choices[0].index == index]
        assert len(mine) > 2 and [part.finish_reason for part in mine[:-1]] == [None] * (len(mine) - 1)
        assert "".join(part.text for part in mine) == expected.text
        assert [token for part in mine for token in part.logprobs.tokens] == expected.logprobs.tokens
        assert mine[-1].finish_reason == expected.finish_reason
    assert whole.choices[0].text != whole.choices[1].text


def test_a_seed_repeats_and_none_does_not(served):
    drawn = [complete(served, temperature=1.5, seed=seed).choices[0].text for seed in (1, 1, 2, None, None)]
    assert drawn[0] == drawn[1] and len(set(drawn)) == 4


def test_a_stop_string_is_cut_off(served, greedy):
    stop = greedy[3:5]
    assert greedy.find(stop) > 0, "another seed for the model, please"
    for choice in (
        complete(served, stop=stop).choices[0],
        complete(served, stop=["never", stop], logprobs=0).choices[0],
    ):
        assert (choice.text, choice.finish_reason) == (greedy[: greedy.find(stop)], "stop")
    assert "".join(choice.logprobs.tokens) == choice.text


def test_64_requests_at_once(served):
    prompts = [f"Question {i}: {'why? ' * (i % 7)}" for i in range(64)]

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
            asked = [
                client.completions.create(model=NAME, prompt=prompt, max_tokens=1 + i % 20, temperature=0)
                for i, prompt in enumerate(prompts)
            ]
            return await asyncio.gather(*asked)

    for i, got in enumerate(asyncio.run(all_of_them())):
        if i % 8 == 0:
            assert got.choices[0].text == continuation(served, prompts[i], 1 + i % 20)
        assert got.usage.completion_tokens <= 1 + i % 20
    assert served.idle()
