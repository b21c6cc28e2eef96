import dataclasses

import numpy as np
import pytest

from flan_jax.data.store import Store
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.data.token_layer import write_tokens
from flan_jax.evaluation.gathering import gather_requests, warnings
from flan_jax.evaluation.requests import RequestError, build_requests, choose_examples, fit
from flan_jax.evaluation.scoring import Scoring
from flan_jax.models.config import DecoderConfig
from tests.evaluation.prepared import VOCABULARY, generated, make_store, ranked
from tests.evaluation.questions import make_request

MODEL = DecoderConfig(259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=64)


class Beginning:
    """The byte vocabulary with BOS."""

    def __init__(self):
        self.kind, self.size, self.pad_id, self.eos_id, self.bos_id, self.leading = "bytes", 259, 0, 1, 2, ""
        self.digest = VOCABULARY.digest

    encode, decode, save = VOCABULARY.encode, VOCABULARY.decode, VOCABULARY.save
    opening, files = VOCABULARY.opening, VOCABULARY.files


def test_a_request_holds_the_question_and_its_place(tmp_path):
    task = ranked("toy")
    requests, counts = build_requests(make_store(tmp_path, task), VOCABULARY, task, "test", window=200)
    assert len(requests) == 23  # twelve examples, two templates, one row dropped
    first = requests[0]
    assert VOCABULARY.decode(first.context.tolist()) == first.inputs == "test question 0 in way 0?"
    assert [VOCABULARY.decode(option.tolist()) for option in first.options] == [" yes", " no"]
    assert first.references == ("yes",)
    assert first.id == "toy/test/test-0/0"
    assert len({request.id for request in requests}) == 23
    assert not counts


def test_bos_opens_and_eos_closes_where_asked(tmp_path):
    task = ranked("toy")
    store = make_store(tmp_path, task)
    (first, *_), _ = build_requests(store, Beginning(), task, "test", window=200, score_eos=True)
    assert first.context[0] == 2
    assert [option[-1] for option in first.options] == [1, 1]
    assert [len(option) for option in first.options] == [5, 4]


def test_turned_around_templates_are_not_asked(tmp_path):
    task = ranked("toy")
    store = make_store(tmp_path, task)
    templates = (task.templates[0], dataclasses.replace(task.templates[1], turned_around=True))
    requests, _ = build_requests(store, VOCABULARY, dataclasses.replace(task, templates=templates), "test", window=200)
    assert {request.template for request in requests} == {0}
    none = tuple(dataclasses.replace(template, unconditional=True) for template in task.templates)
    with pytest.raises(RequestError, match="no row under a template that can be evaluated"):
        build_requests(store, VOCABULARY, dataclasses.replace(task, templates=none), "test", window=200)


def test_fewer_examples_are_part_of_more(tmp_path):
    task = ranked("toy")
    store = make_store(tmp_path, task)
    asked = [
        {request.example_id for request in build_requests(store, VOCABULARY, task, "test", window=200, examples=n)[0]}
        for n in (3, 7, 100)
    ]
    assert [len(ids) for ids in asked] == [3, 7, 12]
    assert asked[0] < asked[1] < asked[2]
    ids = [f"e{i}" for i in range(50)]
    assert choose_examples(ids, 9, "t") == choose_examples(ids[::-1] * 2, 9, "t")
    assert choose_examples(ids, 9, "t") != choose_examples(ids, 9, "u")


def test_long_questions_lose_their_beginning_as_a_whole(tmp_path):
    task = ranked("toy", options=((" yes", " no way"),))
    store = make_store(tmp_path, task)
    requests, counts = build_requests(store, Beginning(), task, "test", window=20)
    assert counts["truncated"] == 23
    for request in requests:
        assert len(request.context) == 20 - 6  # the longest option feeds all but its last of 7 tokens
        assert request.context[0] == 2
        assert request.inputs.endswith(VOCABULARY.decode(request.context[1:].tolist()))
        assert request.truncated == len(request.inputs) + 1 - 14


def test_generation_leaves_room_for_the_answer():
    cut = fit(make_request(range(10, 30), (), new_tokens=5), 16)
    assert cut.context.tolist() == list(range(19, 30))
    assert cut.truncated == 9
    with pytest.raises(RequestError, match=r"smaller max_new_tokens \(of evaluate"):
        fit(make_request(range(20), (), new_tokens=16), 16)
    with pytest.raises(RequestError, match=r"larger DecoderConfig\.max_length"):
        fit(make_request(range(20), (range(30), (1,))), 16)
    assert fit(make_request(range(5), ((1, 2), (3,))), 6).truncated == 0


def test_faulty_rows_are_named(tmp_path):
    blank = ranked("blank", options=((" yes", " "),))
    store = make_store(tmp_path, blank)
    place = "blank/test, example 'test-0', template 0"
    with pytest.raises(RequestError, match=place + r": option 1 of \[' yes', ' '\] is empty"):
        build_requests(store, VOCABULARY, blank, "test", window=200)


def test_oddities_are_counted(tmp_path):
    double = ranked("double", options=((" a", " b", " a"), (" a", " b")))
    bare = generated("bare", references=())
    store = make_store(tmp_path, double, bare)
    _, counts = build_requests(store, VOCABULARY, double, "test", window=200)
    assert counts == {"duplicate_options": 12}
    echo = ranked("echo", options=((" yes", " test question 0 in way 0?"),))
    assert build_requests(make_store(tmp_path, echo), VOCABULARY, echo, "test", window=200)[1] == {
        "option_is_the_question": 1
    }
    requests, counts = build_requests(store, VOCABULARY, bare, "test", window=200)
    assert counts == {"scored_against_target": 12}
    assert requests[0].references == ("six",)
    empty = generated("empty", references=("", " "))
    with pytest.raises(RequestError, match="no reference and no target"):
        build_requests(make_store(tmp_path, empty), VOCABULARY, empty, "test", window=200)
    np.testing.assert_array_equal(requests[0].context, VOCABULARY.encode([requests[0].inputs])[0])


def test_fewer_examples_than_asked_are_said(tmp_path):
    """The store was prepared with a lower cap; where the data have no more, there is nothing to say."""
    store, task = Store(tmp_path), ranked("one")
    for split, cap in (("test", 4), ("validation", 50)):
        write_tokens(store, VOCABULARY, write_text(store, task, split, text_request(task, split, 0, cap)))
    for examples, told in ((4, []), (9, ["asked 9 examples, prepared 4: one/test\n"]), (None, [])):
        scoring = Scoring(examples=examples, selection_examples=50)
        requests, counts = gather_requests(VOCABULARY, store, [task], scoring, MODEL)
        assert len({one.example_id for one in requests if one.split == "test"}) == 4
        found = warnings(counts, None, 64)
        assert [warning[: len(start)] for warning, start in zip(found, told, strict=True)] == told
        assert all("prepare with EVAL_EXAMPLES=9" in warning for warning in found)
