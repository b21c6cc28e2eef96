"""What is not supported is refused by name and value, never loaded wrong."""

import json
import struct

import numpy as np
import pytest
import torch_models
from safetensors.numpy import load_file, save_file

from flan_jax.data.tokenizer_settings import read_settings
from flan_jax.data.vocabulary import VocabularyError
from flan_jax.errors import FlanJaxError
from flan_jax.interop.errors import BadCheckpoint, UnsupportedModel
from flan_jax.interop.import_hf import import_hf, read_source
from flan_jax.interop.safetensors_files import read_headers
from flan_jax.models.config import DecoderConfig, InvalidDecoderConfig

LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 3, "long_factor": [2.0] * 3}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama", {"model_type": "bert"}, "model_type='bert' is not supported; known: gemma, .*llama, mistral, olmo2"),
        ("llama", {"model_type": None}, "model_type=None is not supported; known"),
        ("llama", {"hidden_act": "relu6"}, "hidden_act='relu6' is not supported: known: silu"),
        ("llama", {"rope_parameters": None, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "type 'dynamic'"),
        ("llama", {"rope_scaling": LONGROPE}, "rope type 'longrope' is not supported; known: default, linear, llama3"),
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "rope_scaling has no 'low_freq_factor'"),
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, "rope_scaling has no 'factor'"),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 2.0, "extra": 1}}, "extra=1 is not known"),
        ("llama", {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config=.*use the checkpoint before quantization"),
        ("llama", {"sliding_window": 5}, "sliding_window=5 is not a field that 'llama' is known to have"),
        ("llama", {"attention_multiplier": 0.1}, "attention_multiplier=0.1 is not a field that 'llama'"),
        ("llama", {"add_cross_attention": True}, "add_cross_attention=True is not supported: only False"),
        ("llama", {"pruned_heads": {"0": [1]}}, "pruned_heads="),
        ("llama", {"hidden_size": None}, "hidden_size=None is not supported: it must be a whole number"),
        ("llama", {"tie_word_embeddings": "yes"}, "tie_word_embeddings='yes' is not supported: it must be true or"),
        ("llama", {"num_key_value_heads": 3}, "num_kv_heads=3 must divide num_heads=4"),
        ("mistral", {"layer_types": ["full_attention"] * 3}, "layer_types=.* is not a field that 'mistral'"),
        ("mistral", {"sliding_window": 0}, "sliding_window=0 is not supported: it must be at least 1"),
        ("qwen2", {"layer_types": ["sliding_attention"] * 3}, "sliding_window=None is not supported: layer_types"),
        ("qwen2", {"layer_types": ["full_attention"] * 2}, "layer_types=.*there are 3 layers"),
        ("qwen2", {"layer_types": ["chunked_attention"] * 3}, "layer_types='chunked_attention'"),
        ("opt", {"layer_norm_elementwise_affine": False}, "layer_norm_elementwise_affine=False is not supported"),
        ("opt", {"activation_function": "gelu_10"}, "activation_function='gelu_10' is not supported"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ("gpt_neox", {"rope_theta": 5.0}, "rope_theta=5.0 is not a field that 'gpt_neox'"),
        ("gptj", {"rotary_dim": 7}, "rotary_dim=7 must be from 2 to the head size, 6|rotary_dim=7 must be even"),
        ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention=True is not supported"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping=50.0 is not supported: only None"),
        ("gemma3_text", {"rope_parameters": {"rope_theta": 5.0}}, "neither full_attention nor sliding_attention"),
        ("phi3", {"rope_parameters": None, "rope_scaling": LONGROPE}, "rope type 'longrope' is not supported"),
        (
            "phi3",
            {"rope_parameters": {**torch_models.LINEAR_ROPE}},
            "rope type='linear' is not supported: only 'default'",
        ),
        # of a type or a size that no such field has
        ("llama", {"model_type": ["llama"]}, "model_type=.'llama'. is not supported; known"),
        ("llama", {"num_attention_heads": 0}, "num_attention_heads=0 is not supported: it must be at least 1"),
        ("llama", {"num_key_value_heads": 0}, "num_key_value_heads=0 is not supported: it must be at least 1"),
        ("llama", {"head_dim": 0}, "head_dim=0 is not supported: it must be at least 1"),
        ("llama", {"hidden_size": True}, "hidden_size=True is not supported: it must be a whole number"),
        ("llama", {"hidden_act": ["silu"]}, "hidden_act=.'silu'. is not supported: it must be text"),
        ("llama", {"rms_norm_eps": None}, "rms_norm_eps=None is not supported: it must be a number"),
        ("llama", {"rms_norm_eps": -1}, "rms_norm_eps=-1 is not supported: it must be finite and not negative"),
        ("llama", {"rms_norm_eps": 0}, "rms_norm_eps=0.0 is not supported: it must be more than 0"),
        ("llama", {"rope_theta": None}, "rope_theta=None is not supported: it must be a number"),
        ("llama", {"rope_theta": -1}, "rope_theta=-1 is not supported: it must be finite"),
        ("llama", {"rope_theta": 0}, "rope_theta=0.0 is not supported: it must be more than 0"),
        ("llama", {"rope_theta": "1e6"}, "rope_theta='1e6' is not supported: it must be a number"),
        ("llama", {"rope_theta": float("nan")}, "rope_theta=nan is not supported: it must be finite"),
        ("llama", {"rope_theta": 10**400}, "rope_theta=1000*.* is not supported: it must be finite"),
        ("llama", {"rope_parameters": {"rope_theta": "1e6"}}, "rope_parameters: rope_theta='1e6' is not supported"),
        ("llama", {"rope_parameters": {"rope_type": ["linear"]}}, "rope_type=.'linear'. is not supported: it must be"),
        ("llama", {"rope_scaling": "linear"}, "rope_scaling='linear' is not supported: it must be an object"),
        ("llama", {"rope_scaling": [1]}, "rope_scaling=.1. is not supported: it must be an object"),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": True}}, "rope_scaling: factor=True is not"),
        (
            "llama",
            {"rope_scaling": {**torch_models.LLAMA3_ROPE, "low_freq_factor": "x"}},
            "low_freq_factor='x' is not supported: it must be a number",
        ),
        (
            "llama",
            {"rope_scaling": {**torch_models.YARN_ROPE, "original_max_position_embeddings": "x"}},
            "original_max_position_embeddings='x' is not supported: it must be a whole number",
        ),
        ("llama", {"rope_scaling": {**torch_models.YARN_ROPE, "attention_factor": "x"}}, "attention_factor='x' is not"),
        ("llama", {"rope_scaling": {**torch_models.YARN_ROPE, "truncate": False}}, "truncate=False is not supported"),
        ("gpt_neox", {"num_attention_heads": 0}, "num_attention_heads=0 is not supported: it must be at least 1"),
        ("gpt_neox", {"rotary_pct": None}, "rotary_pct=None is not supported: it must be a number"),
        ("gpt_neox", {"layer_norm_eps": None}, "layer_norm_eps=None is not supported: it must be a number"),
        ("gpt2", {"layer_norm_epsilon": -1e-5}, "layer_norm_epsilon=-1e-05 is not supported"),
        ("qwen2", {"layer_types": 5}, "layer_types=5 is not supported: it must be a list"),
        ("qwen2", {"layer_types": [["full_attention"]] * 3}, "layer_types=.'full_attention'. is not supported"),
        ("qwen2", {"max_window_layers": -1}, "max_window_layers=-1 is not supported: it must be at least 0"),
        ("gemma2", {"query_pre_attn_scalar": None}, "query_pre_attn_scalar=None is not supported: it must be a number"),
        ("gemma2", {"attn_logit_softcapping": 0}, "attn_logit_softcapping=0.0 is not supported: it must be more than"),
        (
            "gemma3_text",
            {"sliding_window_pattern": 0},
            "sliding_window_pattern=0 is not supported: it must be at least",
        ),
        (
            "gemma3_text",
            {"rope_parameters": {"full_attention": "default"}},
            "rope_parameters: full_attention='default' is not supported: it must be an object",
        ),
    ],
)
def test_a_configuration_that_is_not_supported_is_refused_by_name(imported, tmp_path, name, changes, message):
    original = imported(name).source.directory / "config.json"
    (tmp_path / "config.json").write_text(json.dumps({**json.loads(original.read_text()), **changes}))
    with pytest.raises((UnsupportedModel, InvalidDecoderConfig), match=message) as refusal:
        read_source(tmp_path)
    assert isinstance(refusal.value, FlanJaxError)


@pytest.fixture
def folder(imported, tmp_path):
    """A writable copy of a checkpoint in one file: its folder and its tensors."""
    source = imported("llama").source.directory
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    tensors = load_file(source / "model.safetensors")
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path, tensors


def refused(directory, message):
    with pytest.raises(BadCheckpoint, match=message):
        import_hf(read_source(directory))


def test_tensors_that_do_not_agree_with_the_configuration(folder):
    directory, tensors = folder
    file, query = directory / "model.safetensors", "model.layers.1.self_attn.q_proj.weight"
    save_file({key: value for key, value in tensors.items() if key != query}, file)
    refused(directory, f"has no tensor '{query}' .1 of those that 'llama' has are missing")
    save_file({**tensors, "model.layers.0.self_attn.q_proj.bias": np.zeros(24, np.float32)}, file)
    refused(
        directory, "the tensor 'model.layers.0.self_attn.q_proj.bias' is none that 'llama' has with this config.json"
    )
    save_file({**tensors, query: tensors[query].T[:, :5].copy()}, file)
    refused(directory, f"{query} has shape .24, 5., where config.json asks for .24, 24.")
    save_file({key: value for key, value in tensors.items() if key != "lm_head.weight"}, file)
    refused(directory, "no tensor 'lm_head.weight'.*set tie_word_embeddings to true")
    save_file({**tensors, query: np.zeros((24, 24), np.int8)}, file)
    refused(directory, "dtype I8 is not read .F32, F16, BF16, F64 are.; use the checkpoint before quantization")


def test_a_tied_head_must_be_the_embedding(folder):
    directory, tensors = folder
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    refused(directory, "lm_head.weight differs from the embedding, though config.json of .* ties them; set")
    save_file({**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]}, directory / "model.safetensors")
    assert "head" not in import_hf(read_source(directory))[1]


def test_files_that_are_damaged_missing_or_pickled(folder):
    directory, _ = folder
    file = directory / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    refused(directory, f"model.safetensors is truncated: it has {len(whole) - 1} bytes and needs {len(whole)}; fetch")
    deep = b"[" * 100_000
    for damaged in (whole[:100], whole[:5], b"", *(struct.pack("<Q", len(raw)) + raw for raw in (b"{" * 20, deep))):
        file.write_bytes(damaged)
        refused(directory, "model.safetensors .*(no whole header: it is truncated|header that cannot be read)")
    file.rename(directory / "pytorch_model.bin")
    refused(directory, "weights in pytorch_model.bin, which is a pickle.*\n.*\n.*save_pretrained")
    (directory / "pytorch_model.bin").unlink()
    refused(directory, "has neither model.safetensors nor model.safetensors.index.json")
    for damaged in (b"{", deep):
        (directory / "config.json").write_bytes(damaged)
        refused(directory, "config.json is no JSON")
    (directory / "config.json").unlink()
    refused(directory, "has no config.json")
    refused(directory / "nowhere", "nowhere is no folder")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"data_offsets": [0, 8]}, "b is at bytes 0 to 8, behind a, which ends at 8"),
        ({"data_offsets": [4, 12]}, "b is at bytes 4 to 12, behind a, which ends at 8"),
        ({"data_offsets": [12, 20]}, "b is at bytes 12 to 20, behind a, which ends at 8"),
        ({"shape": [2.0]}, "2.0 is no whole number"),
        ({"shape": [2, True]}, "True is no whole number"),
        ({"data_offsets": [8.0, 16]}, "8.0 is no whole number"),
        ({"shape": [1], "data_offsets": [8, 12]}, "has .* bytes, of which its tensors take"),
    ],
)
def test_tensors_that_share_bytes_leave_some_out_or_have_no_whole_shape(tmp_path, second, message):
    def write(second):
        header = {"a": first, "b": {**first, "data_offsets": [8, 16], **second}}
        raw = json.dumps(header).encode()
        (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + np.arange(4.0, dtype="f").data)

    first = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    write({})
    assert {name: stored.mapped().tolist() for name, stored in read_headers(tmp_path).items()} == {
        "a": [0, 1],
        "b": [2, 3],
    }
    write(second)
    with pytest.raises(BadCheckpoint, match=message):
        read_headers(tmp_path)


def test_a_tensor_under_two_names(imported, tmp_path):
    source = imported("gpt_neox").source.directory
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    tensors = load_file(source / "model.safetensors")
    name = next(name for name in ("embed_out.weight", "lm_head.weight") if name in tensors)
    both = {"embed_out.weight": tensors[name], "lm_head.weight": tensors[name] + 1}
    save_file({**tensors, **both}, tmp_path / "model.safetensors")
    refused(tmp_path, "(embed_out|lm_head).weight' and '(embed_out|lm_head).weight' of .* are two names of one tensor")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_epsilon": 0.0}, "norm_epsilon=0.0 must be more than 0"),
        ({"rope_theta": -1.0}, "rope_theta=-1.0 must be more than 0"),
        ({"rope_theta": float("nan")}, "rope_theta=nan must be more than 0"),
        ({"local_rope_theta": 0.0}, "local_rope_theta=0.0 must be more than 0"),
    ],
)
def test_a_decoder_with_no_such_epsilon_or_theta(changes, message):
    sizes = {"vocab_size": 8, "num_layers": 1, "embed_dim": 8, "num_heads": 2, "mlp_dim": 8}
    with pytest.raises(InvalidDecoderConfig, match=message):
        DecoderConfig(**{**sizes, **changes})


@pytest.mark.parametrize(
    ("file", "field"), [("tokenizer_config.json", "tokenizer_class"), ("config.json", "model_type")]
)
def test_a_tokenizer_whose_class_is_no_text(tmp_path, file, field):
    content = json.dumps({field: 5})
    (tmp_path / file).write_text(content)
    with pytest.raises(VocabularyError, match=f"{file}: {field}=5 must be text"):
        read_settings(tmp_path, {file: content.encode()})


def test_an_index_that_does_not_agree_with_its_files(exported, tmp_path):
    source = exported("llama")
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    index = tmp_path / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    first, *_, last = sorted(set(listed["weight_map"].values()))
    (tmp_path / last).unlink()
    refused(tmp_path, f"names {last}, which is not there .1 of")
    (tmp_path / last).write_bytes((tmp_path / first).read_bytes())
    refused(tmp_path, f"both {first} and {last} have a tensor")
    (tmp_path / last).write_bytes((source / last).read_bytes())
    index.write_text(json.dumps({"weight_map": {**listed["weight_map"], "other.weight": first}}))
    refused(tmp_path, f"says that {first} has a tensor 'other.weight'; it has not")
    index.write_text(json.dumps({"weight_map": {**listed["weight_map"], "other.weight": "../secret.safetensors"}}))
    refused(tmp_path, "weight_map must name files of the same folder")
    index.write_text("[]")
    refused(tmp_path, "is no index of safetensors files")
