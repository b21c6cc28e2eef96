"""What a server is not to be brought down by."""

import http.client
import json
import socket
import struct
import time

import jax.numpy as jnp
import openai
import pytest

from flan_jax.serving.application import MOST_BYTES
from tests.serving.conftest import NAME


def post(served, body: bytes, path: str = "/v1/completions", method: str = "POST") -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.fixture(autouse=True)
def still_answering(served):
    yield
    assert served.client.completions.create(model=NAME, prompt="a", max_tokens=1).usage.completion_tokens <= 1
    assert served.idle()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None), (b"{", None), (b"\xff\xfe", None), (b"[1]", None), (b"[" * 100_000, None),
        (b"{}", "prompt"), (b'{"prompt": ""}', "prompt"), (b'{"prompt": []}', "prompt"), (b'{"prompt": 3}', "prompt"),
        (b'{"prompt": [1, "a"]}', "prompt"), (b'{"prompt": [[]]}', "prompt"), (b'{"prompt": [-1]}', "prompt"),
        (b'{"prompt": [259]}', "prompt"), (b'{"prompt": [true]}', "prompt"), (b'{"prompt": "\\ud800"}', "prompt"),
        (b'{"prompt": "a", "max_tokens": -1}', "max_tokens"), (b'{"prompt": "a", "max_tokens": "9"}', "max_tokens"),
        (b'{"prompt": "a", "max_tokens": 2.5}', "max_tokens"), (b'{"prompt": "a", "max_tokens": true}', "max_tokens"),
        (b'{"prompt": "a", "max_tokens": 256}', "prompt"), (b'{"prompt": "a", "temperature": NaN}', "temperature"),
        (b'{"prompt": "a", "temperature": 3}', "temperature"), (b'{"prompt": "a", "top_p": -1}', "top_p"),
        (b'{"prompt": "a", "n": 0}', "n"), (b'{"prompt": "a", "n": 10000}', "n"),
        (b'{"prompt": "a", "n": 2, "best_of": 3}', "best_of"),
        (b'{"prompt": "a", "stop": [""]}', "stop"), (b'{"prompt": "a", "stop": {"a": 1}}', "stop"),
        (b'{"prompt": "a", "stop": ["a","b","c","d","e"]}', "stop"), (b'{"prompt": "a", "logprobs": 6}', "logprobs"),
        (b'{"prompt": "a", "echo": 1}', "echo"), (b'{"prompt": "a", "stream": "yes"}', "stream"),
        (b'{"prompt": "a", "suffix": "b"}', "suffix"), (b'{"prompt": "a", "logit_bias": {"5": 3}}', "logit_bias"),
        (b'{"prompt": "a", "tempreature": 1}', "tempreature"), (b'{"prompt": "a", "model": 3}', "model"),
        (b'{"prompt": "a", "frequency_penalty": false}', "frequency_penalty"),
        (b'{"prompt": "a", "presence_penalty": false}', "presence_penalty"),
        (b'{"prompt": "a", "seed": 1.5}', "seed"), (b'{"prompt": "a", "stream_options": []}', "stream_options"),
    ],
)  # fmt: skip
def test_malformed_requests_are_named(served, body, param):
    status, said = post(served, body)
    assert status == 400
    assert said["error"]["param"] == param and said["error"]["message"]
    assert said["error"]["type"] == "invalid_request_error"


def test_the_client_raises_what_it_should(served):
    with pytest.raises(openai.BadRequestError, match="at most 256 tokens, and 300 are asked for"):
        served.client.completions.create(model=NAME, prompt="x" * 290, max_tokens=10)
    with pytest.raises(openai.NotFoundError, match="does not exist; this server has 'tiny'"):
        served.client.completions.create(model="gpt-9", prompt="x")


def test_oversized_bodies_and_too_many_choices(served):
    status, said = post(served, b'{"prompt": "' + b"x" * MOST_BYTES + b'"}')
    assert (status, said["error"]["type"]) == (413, "invalid_request_error")
    status, said = post(served, json.dumps({"prompt": ["x"] * 65, "n": 2}).encode())
    assert status == 400 and "130" not in said["error"]["message"] and "128" in said["error"]["message"]


def test_more_than_can_wait_is_told_to_come_later(served):
    with pytest.raises(openai.RateLimitError):
        served.client.completions.create(model=NAME, prompt=["x"] * 101, max_tokens=200)


def test_other_paths_and_methods(served):
    assert post(served, b"", "/v1/nothing")[0] == 404
    assert post(served, b"", method="GET")[0] == 405
    assert post(served, b"", "/v1/models/other", "GET")[0] == 404
    assert post(served, b"", "/health", "GET") == (200, {"status": "ok", "pending": 0})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("abrupt", [False, True])
def test_a_client_that_leaves_frees_its_rows(served, stream, abrupt, monkeypatch):
    answers, submit, step = [], served.worker.engine.submit, served.worker.engine.step
    monkeypatch.setattr(served.worker.engine, "submit", lambda ask: answers.append(submit(ask)) or answers[-1])
    monkeypatch.setattr(served.worker.engine, "step", lambda: time.sleep(0.02) or step())  # as if it were a real one
    connection = served.connect()
    body = json.dumps({"prompt": ["a"] * 40, "max_tokens": 250, "stream": stream}).encode()
    connection.sendall(
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
    while not served.worker.pending:
        time.sleep(0.01)
    if abrupt:  # a reset in place of a farewell
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert served.idle()
    assert answers[-1].finish == "cancelled" and len(answers[-1].tokens) < 250


def test_half_a_request_harms_nobody(served):
    for start in (
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"\0\1\2nonsense\r\n\r\n",
    ):
        connection = served.connect()
        connection.sendall(start)
        connection.close()


def test_a_model_that_fails_is_told_and_the_next_request_is_answered(served):
    engine = served.worker.engine
    whole = engine.params
    engine.params = {**whole, "embedding": whole["embedding"] * jnp.nan}
    try:
        with pytest.raises(openai.InternalServerError, match="not numbers"):
            served.client.completions.create(model=NAME, prompt="x", max_tokens=3)
        events = list(served.client.completions.create(model=NAME, prompt="y", max_tokens=0, stream=True))
        assert events[-1].choices[0].finish_reason == "length"
    finally:
        engine.params = whole
