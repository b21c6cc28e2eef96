"""A server with a model made of random numbers, in this process, and OpenAI's client for it."""

import socket
import threading
import time
from typing import Any, NamedTuple

import numpy as np
import openai
import pytest
import uvicorn

from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.decoding.engine import Engine
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from flan_jax.serving.application import Application
from flan_jax.serving.server import listen
from flan_jax.serving.worker import Worker

VOCABULARY = ByteVocabulary()
MODEL = DecoderConfig(
    vocab_size=VOCABULARY.size, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=256, head_bias=True
)  # fmt: skip
NAME = "tiny"


class Served(NamedTuple):
    client: openai.OpenAI
    url: str
    port: int
    worker: Worker
    params: Any

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))

    def idle(self) -> bool:
        """Whether, in a while, nothing is worked on any more."""
        for _ in range(200):
            if not self.worker.pending and not self.worker.engine.busy:
                return True
            time.sleep(0.05)
        return False


@pytest.fixture(scope="package")
def served():
    params = build_decoder(MODEL, 0)[1]
    printed = np.isin(np.arange(MODEL.vocab_size), np.arange(32, 127) + 3)
    params = {**params, "head_bias": np.where(printed, 0.0, -30.0).astype(np.float32)}  # it says ASCII, without end
    worker = Worker(Engine(MODEL, params, VOCABULARY.eos_id, VOCABULARY.decode, rows=8, length=256), most_waiting=100)
    worker.start()
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(Application(worker, VOCABULARY, NAME).asgi(), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    yield Served(openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0), url, port, worker, params)
    server.should_exit = True
    thread.join()
    worker.stop()
