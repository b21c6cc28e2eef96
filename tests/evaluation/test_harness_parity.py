"""Our scores are those of lm-evaluation-harness on the exported checkpoint, each side tokenising for itself.

Settings as of a parity run: float32, a fixed batch size, no logits cache, shots that are the first of their split.
"""

import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
pytest.importorskip("lm_eval", reason="left out: lm-evaluation-harness is not installed (the extra `test` has it)")

from lm_eval.models.huggingface import HFLM

from flan_jax.evaluation.harness.model import FlanJaxLM
from flan_jax.evaluation.text_requests import encode_pairs
from flan_jax.interop.export_hf import export_hf
from flan_jax.interop.tokenizer_files import read_tokenizer, special_ids, write_tokenizer
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.harness_tasks import METRICS, generated_task, ranked_tasks, run, text_task
from tests.interop.tokenizer_folders import FAMILIES

LLAMA = DecoderConfig(
    vocab_size=340, num_layers=2, embed_dim=32, num_heads=4, num_kv_heads=2, mlp_dim=48, max_length=512,
    norm_epsilon=1e-5, scan_layers=True,
)  # fmt: skip
OPT = dataclasses.replace(
    LLAMA, num_kv_heads=None, norm="layer", activation="relu", gated_mlp=False, position="learned", position_offset=2,
    tied_embeddings=True, qkv_bias=True, attention_output_bias=True, mlp_bias=True,
)  # fmt: skip
CHECKPOINTS = {"llama-bytes": ("llama", LLAMA, "llama3"), "llama-pieces": ("llama", LLAMA, "llama2_fast"),
               "opt-bytes": ("opt", OPT, "opt")}  # fmt: skip
COUNT = 6


class Both(NamedTuple):
    ours: FlanJaxLM
    theirs: Any


def make_both(name: str, folder: pathlib.Path) -> Both:
    """A random model with a small tokenizer, here, and exported there."""
    family, config, tokenizer = CHECKPOINTS[name]
    source = folder / "source"
    source.mkdir()
    FAMILIES[tokenizer].make(source)
    vocabulary = read_tokenizer(source)
    params = build_decoder(config, 3)[1]
    original = {**special_ids(vocabulary), "torch_dtype": "float32"}
    export_hf(folder / "exported", family, config, params, original=original)
    write_tokenizer(folder / "exported", vocabulary)
    theirs = HFLM(str(folder / "exported"), device="cpu", dtype="float32", batch_size=8, logits_cache=False)
    return Both(FlanJaxLM.of(config, params, vocabulary, tokens_per_batch=1024, row_width=128), theirs)


@pytest.fixture(scope="module", params=CHECKPOINTS)
def both(request, tmp_path_factory) -> Both:
    return make_both(request.param, tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="module")
def results(both) -> tuple[dict[str, Any], dict[str, Any]]:
    return run(both.ours, ranked_tasks(COUNT)), run(both.theirs, ranked_tasks(COUNT))


def responses(found: dict[str, Any], task: str) -> dict[int, list[tuple[float, bool]]]:
    samples = found["samples"][task]
    return {
        sample["doc_id"]: [(float(one[0][0]), str(one[0][1]) == "True") for one in sample["resps"]]
        for sample in samples
    }


def test_token_ids_are_the_harness_s(both, results):
    """Of every context and continuation that its tasks ask, the unconditional ones included."""
    asked = [tuple(argument) for samples in results[1]["samples"].values() for sample in samples
             for argument in sample["arguments"]]  # fmt: skip
    assert len(asked) > 200 and any(context == "" for context, _ in asked)
    pairs, counts = encode_pairs(both.ours.vocabulary, asked, "harness")
    assert not counts["boundary_differs"] and counts["empty_context"]
    for (context, continuation), pair in zip(asked, pairs, strict=True):
        if context:
            expected = both.theirs._encode_pair(context, continuation)
        else:
            expected = [both.theirs.prefix_token_id], both.theirs.tok_encode(continuation, add_special_tokens=False)
        assert (pair.context.tolist(), pair.continuation.tolist()) == tuple(map(list, expected))


def test_log_likelihoods_and_greedy_flags_are_the_harness_s(results):
    ours, theirs = results
    for task in theirs["samples"]:
        mine, its = responses(ours, task), responses(theirs, task)
        assert mine.keys() == its.keys()
        for number in its:
            for (nats, greedy), (expected, expected_greedy) in zip(mine[number], its[number], strict=True):
                assert nats == pytest.approx(expected, rel=1e-5, abs=1e-3)
                assert greedy == expected_greedy


def test_accuracies_are_the_harness_s_to_the_last_digit(results):
    ours, theirs = results
    seen = set()
    for task, figures in theirs["results"].items():
        for metric in METRICS:
            key = f"{metric},none"
            if key in figures:
                assert ours["results"][task][key] == figures[key], (task, metric)
                seen.add((metric, figures[key]))
    assert {metric for metric, _ in seen} == set(METRICS) and len(seen) > len(METRICS)


def test_generation_and_whole_texts_are_the_harness_s(both):
    tasks = [generated_task(COUNT, ["e", "\n"], 12), text_task(4)]
    ours, theirs = (run(model, tasks) for model in both)
    texts = [
        {sample["doc_id"]: sample["resps"][0][0] for sample in found["samples"]["generated"]}
        for found in (ours, theirs)
    ]
    assert texts[0] == texts[1] and any(texts[0].values())
    for metric in ("word_perplexity,none", "bits_per_byte,none"):
        assert ours["results"]["texts"][metric] == pytest.approx(theirs["results"]["texts"][metric], rel=1e-5)
