"""What is exported is what was imported, and transformers loads it with nothing else."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import torch_models
from safetensors.numpy import load_file
from torch_models import LENGTH, MODELS, VOCABULARY

from flan_jax.interop.errors import InteropError, UnsupportedModel
from flan_jax.interop.export_hf import export_hf
from flan_jax.interop.family import canonical, read_config, write_config
from flan_jax.interop.import_hf import import_hf, read_source
from flan_jax.models import decoder
from flan_jax.models.config import DecoderConfig

TOKENS = np.random.default_rng(1).integers(3, VOCABULARY, (2, LENGTH))


def tensors(directory):
    found = {}
    for path in directory.glob("*.safetensors"):
        found |= load_file(path)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_import_and_export_give_back_every_tensor_bit_for_bit(imported, exported, name):
    before, after = tensors(imported(name).source.directory), tensors(exported(name))
    assert set(before) == set(after)
    for key, tensor in before.items():
        assert tensor.dtype == after[key].dtype and np.array_equal(tensor, after[key]), key


@pytest.mark.parametrize("name", MODELS)
def test_transformers_loads_an_export_with_the_same_configuration_and_logits(imported, exported, name):
    directory = exported(name)
    listed = json.loads((directory / "model.safetensors.index.json").read_text())["weight_map"]
    assert set(listed.values()) == {path.name for path in directory.glob("*.safetensors")} and len(listed) > 2
    model, original = torch_models.load(directory), imported(name).model
    assert np.array_equal(torch_models.logits(model, TOKENS), torch_models.logits(original, TOKENS))
    configs = [{**one.config.to_dict(), "_name_or_path": None} for one in (model, original)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_configuration_written_without_the_original_gives_the_same_function(imported, tmp_path, name):
    """But for an activation of which transformers has two versions that round differently."""
    one = imported(name)
    export_hf(tmp_path / "out", one.source.family.model_type, one.config, one.params)
    model = torch_models.load(tmp_path / "out")
    assert model.config.eos_token_id is None and model.config.pad_token_id is None
    expected = torch_models.logits(one.model, TOKENS)
    np.testing.assert_allclose(torch_models.logits(model, TOKENS), expected, atol=2e-5, rtol=0)
    assert canonical(read_source(tmp_path / "out").config) == canonical(one.config)


def test_a_decoder_that_has_changed_since_keeps_what_its_original_says_of_nothing_else(imported):
    """Token ids stay; the rotary settings are those of the decoder; code that is not exported is not named."""
    one = imported("qwen2")
    changed = dataclasses.replace(one.config, rope_theta=7e5)
    original = {**one.source.original, "auto_map": {"AutoModel": "code.Model"}, "task_specific_params": {"a": 1}}
    for config in (one.config, changed):
        written = write_config(one.source.family, config, original)
        assert written["eos_token_id"] == 2 and written["task_specific_params"] == {"a": 1}
        assert "auto_map" not in written and "_name_or_path" not in written
        assert read_config(one.source.family, written, "config.json").rope_theta == config.rope_theta


def test_each_dtype_is_written_and_said(imported, tmp_path):
    """Half precision, which PyTorch rounds as here; read again, float32 holds every half exactly."""
    one = imported("llama")
    for dtype in ("bfloat16", "float16"):
        export_hf(tmp_path / dtype, "llama", one.config, one.params, dtype=dtype, original=one.source.original)
        model = torch_models.load(tmp_path / dtype)
        assert str(model.config.dtype) == f"torch.{dtype}" == str(next(model.parameters()).dtype)
        for (key, got), (_, exact) in zip(model.named_parameters(), one.model.named_parameters(), strict=True):
            assert torch_models.torch.equal(got, exact.to(got.dtype)), key
        config, params = import_hf(read_source(tmp_path / dtype))
        export_hf(tmp_path / f"{dtype}-again", "llama", config, params, dtype=dtype)
        first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in (dtype, f"{dtype}-again"))
        assert first == second


def test_bfloat16_parameters_come_from_and_go_to_files_unchanged(imported, tmp_path):
    one = imported("gemma2")
    export_hf(tmp_path / "one", "gemma2", one.config, one.params, dtype="bfloat16")
    config, params = import_hf(read_source(tmp_path / "one"), param_dtype="bfloat16")
    assert config.param_dtype == "bfloat16" and params["embedding"].dtype == "bfloat16"
    export_hf(tmp_path / "two", "gemma2", config, params, dtype="bfloat16")
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert first == second


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("llama", {"window": 3}, "'llama' cannot express DecoderConfig.window=3"),
        ("llama", {"norm": "layer"}, "'llama' cannot express DecoderConfig.norm='layer'"),
        ("llama", {"qkv_bias": True}, "'llama' cannot express DecoderConfig.qkv_bias=True"),
        ("llama", {"attention_scale_dim": 3.0}, "DecoderConfig.attention_scale_dim=3.0"),
        ("mistral", {"window": 3, "window_pattern": "LG"}, "DecoderConfig.window=3"),
        ("phi3", {"rope_scaling": "linear", "rope_factor": 2.0}, "'phi3' cannot express this decoder.*'linear'"),
        ("gpt_neox", {}, "'gpt_neox' cannot express DecoderConfig.num_kv_heads=2"),
        ("bert", {}, "model_type='bert' is not supported; known: gemma, gemma2, gemma3_text, gpt2, gpt_neox"),
    ],
)
def test_a_family_that_cannot_express_a_decoder_says_which_field(tmp_path, model_type, changes, message):
    sizes = {"vocab_size": 61, "num_layers": 2, "embed_dim": 32, "num_heads": 4, "mlp_dim": 48, "num_kv_heads": 2}
    with pytest.raises(UnsupportedModel, match=message):
        export_hf(tmp_path / "out", model_type, DecoderConfig(**{**sizes, **changes}), {})
    assert not list(tmp_path.iterdir())


def test_a_fresh_native_decoder_can_be_exported_and_loaded(tmp_path):
    config = DecoderConfig(vocab_size=61, num_layers=2, embed_dim=32, num_heads=4, mlp_dim=48, num_kv_heads=2)
    params = decoder.build_decoder(config, seed=0)[1]
    assert export_hf(tmp_path / "out", "llama", config, params) == ["config.json", "model.safetensors"]
    source = read_source(tmp_path / "out")
    assert canonical(source.config) == canonical(config)
    again = import_hf(source)[1]
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
    assert torch_models.load(tmp_path / "out").config.eos_token_id is None


def test_nothing_is_overwritten_and_nothing_half_written_stays(imported, tmp_path):
    one = imported("gpt2")
    (tmp_path / "there").mkdir()
    with pytest.raises(InteropError, match="there is there already"):
        export_hf(tmp_path / "there", "gpt2", one.config, one.params)
    broken = {**one.params, "embedding": one.params["embedding"][1:]}
    with pytest.raises(InteropError, match=r"parameter embedding has shape \(58, 24\).*\(59, 24\)"):
        export_hf(tmp_path / "new", "gpt2", one.config, broken)
    huge = {**one.params, "embedding": one.params["embedding"] * 1e6}
    with pytest.raises(InteropError, match=r"transformer.wte.weight has values up to .*beyond what float16 holds"):
        export_hf(tmp_path / "new", "gpt2", one.config, huge, dtype="float16")
    with pytest.raises(InteropError, match="dtype='float8' cannot be written; it is one of float32, bfloat16, float16"):
        export_hf(tmp_path / "new", "gpt2", one.config, one.params, dtype="float8")
    with pytest.raises(RuntimeError, match="deleted"):
        gone = {**one.params, "embedding": one.params["embedding"] + 0}
        gone["embedding"].delete()
        export_hf(tmp_path / "new", "gpt2", one.config, gone)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
