"""Which family a run is written as, and the parts of an export that are decided beside the weights."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest
import torch_models

from flan_jax.cli import main
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.interop.errors import InteropError, UnsupportedModel
from flan_jax.interop.export_command import choose_family, generation_settings, shard_bytes, with_ids
from flan_jax.interop.import_command import licence_on_card, write_run
from flan_jax.models import decoder
from flan_jax.models.config import DecoderConfig

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, num_kv_heads=1, mlp_dim=24)
GPT2 = {"norm": "layer", "activation": "gelu_tanh", "gated_mlp": False, "position": "learned", "num_kv_heads": None,
        "qkv_bias": True, "attention_output_bias": True, "mlp_bias": True, "tied_embeddings": True}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "family"),
    [
        ({}, "llama"),
        ({"norm_placement": "branch", "qk_norm": "width"}, "olmo2"),
        ({**GPT2, "norm_epsilon": 1e-5}, "gpt2"),
        ({**GPT2, "norm_epsilon": 1e-5, "position_offset": 2, "activation": "relu"}, "opt"),
    ],
)
def test_a_run_from_the_start_is_written_as_the_family_that_can_express_it(changes, family):
    assert choose_family(dataclasses.replace(MODEL, **changes)) == family


def test_where_several_can_it_is_asked_for():
    with pytest.raises(UnsupportedModel, match="as several families: --model_type mistral or phi3"):
        choose_family(dataclasses.replace(MODEL, window=8))


def test_where_no_family_can_each_says_why():
    with pytest.raises(UnsupportedModel, match=r"(?s)no family.*'llama' cannot express DecoderConfig.norm='layer'"):
        choose_family(dataclasses.replace(MODEL, norm="layer", window=3))


def test_a_run_from_the_start_is_exported_with_its_ids(tmp_path, capsys):
    """And its padding is cut."""
    model = dataclasses.replace(MODEL, padded_vocab_size=264)
    params = jax.tree.map(lambda one: jnp.full(one.shape, 0.1, one.dtype), decoder.abstract_params(model))
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", model, ByteVocabulary(), params, {})
    assert main(["export-hf", str(tmp_path / "run"), str(tmp_path / "out"), "--dtype", "bfloat16"]) == 0
    assert f"llama, of {tmp_path}/run at step 0" in capsys.readouterr().out
    for name in ("config.json", "generation_config.json"):
        written = json.loads((tmp_path / "out" / name).read_text())
        assert (written["eos_token_id"], written["pad_token_id"]) == (1, 0)
    loaded = torch_models.load(tmp_path / "out")
    assert loaded.config.vocab_size == 259 and str(loaded.dtype) == "torch.bfloat16"
    assert loaded.generation_config.eos_token_id == 1


@pytest.mark.parametrize("given", ["--dtype=float16", "--max_shard_size=5GB"])
def test_what_an_adapter_would_not_follow_is_refused(given, tmp_path, capsys):
    assert main(["export-hf", str(tmp_path), str(tmp_path / "out"), "--adapter", given]) == 2
    assert f"leave {given.partition('=')[0]} out" in capsys.readouterr().err


def test_ids_that_are_named_already_stay():
    ids = {"eos_token_id": 2, "bos_token_id": 1}
    assert with_ids({"eos_token_id": 5, "bos_token_id": None}, ids) == {"eos_token_id": 5, "bos_token_id": 1}
    assert generation_settings({}, ids) == ids
    settings = {"eos_token_id": [5, 2], "pad_token_id": 9}
    assert generation_settings({"generation_config": settings}, ids) == settings | {"bos_token_id": 1}
    config = {"eos_token_id": 5, "hidden_size": 4}
    assert generation_settings({"config": config}, ids) == {"eos_token_id": [5, 2], "bos_token_id": 1}


@pytest.mark.parametrize(("size", "count"), [("5GB", 5 * 10**9), ("20kb", 20_000), ("7", 7), ("3 MB", 3_000_000)])
def test_sizes_of_files(size, count):
    assert shard_bytes(size) == count


@pytest.mark.parametrize("size", ["", "0GB", "-1GB", "5GiB", "1.5GB", "all"])
def test_sizes_that_are_none(size):
    with pytest.raises(InteropError, match="is not a size like 5GB or 200MB"):
        shard_bytes(size)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: mit\n---\n# A", "mit"),
        ("---\ntags: [a]\n---\n", None),
        ("# A\nlicense: mit\n", None),
        ("---\nlicense: [mit, bsd]\n---\n", None),
        ("---\nlicense: {: mit\n---\n", None),
        ("---\n- license: mit\n---\n", None),
    ],
)
def test_the_licence_that_a_card_names(tmp_path, text, licence):
    (tmp_path / "README.md").write_text(text)
    assert licence_on_card(tmp_path / "README.md") == licence
    assert licence_on_card(tmp_path / "none") is None
