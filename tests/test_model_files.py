"""The shipped model files: each configures, has the parameters that were published, and says what the family says."""

import dataclasses
import functools
import math
import pathlib

import jax
import pytest

from flan_jax.gin_files import gin_configs_directory, read_file, search_directories
from flan_jax.interop.families import family
from flan_jax.interop.family import canonical, read_config
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import abstract_params
from flan_jax.planning.plan_command import planned_config

MODELS = gin_configs_directory() / "models"

# Of Pythia and GPT-NeoX as their papers have them, of GPT-J as its model card, else as counted in the released weights;
# OPT-66B and 175B as the names say; LaMDA's beside the embeddings, as its paper counts, where the shape is published.
PUBLISHED = {
    "opt": {"125m": 125_239_296, "350m": 331_196_416, "1.3b": 1_315_758_080, "2.7b": 2_651_596_800,
            "6.7b": 6_658_473_984, "13b": 12_853_473_280, "30b": 29_974_540_288, "66b": 66e9, "175b": 175e9},
    "pythia": {"14m": 14_067_712, "31m": 30_494_720, "70m": 70_426_624, "160m": 162_322_944, "410m": 405_334_016,
               "1b": 1_011_781_632, "1.4b": 1_414_647_808, "2.8b": 2_775_208_960, "6.9b": 6_857_302_016,
               "12b": 11_846_072_320},
    "gpt_neox": {"20b": 20_554_567_680},
    "gpt2": {"124m": 124_439_808, "355m": 354_823_168, "774m": 774_030_080, "1.5b": 1_557_611_200},
    "gptj": {"6b": 6_053_381_344},
    "llama": {"7b": 6_738_415_616, "13b": 13_015_864_320, "33b": 32_528_943_616, "65b": 65_285_660_672},
    "llama2": {"7b": 6_738_415_616, "13b": 13_015_864_320, "70b": 68_976_648_192},
    "llama3": {"8b": 8_030_261_248, "70b": 70_553_706_496},
    "llama3.1": {"8b": 8_030_261_248, "70b": 70_553_706_496, "405b": 405_853_388_800},
    "llama3.2": {"1b": 1_235_814_400, "3b": 3_212_749_824},
    "mistral": {"7b_v0.1": 7_241_732_096, "7b_v0.3": 7_248_023_552},
    "qwen2": {"0.5b": 494_032_768, "1.5b": 1_543_714_304, "7b": 7_615_616_512, "72b": 72_706_203_648},
    "qwen2.5": {"0.5b": 494_032_768, "1.5b": 1_543_714_304, "3b": 3_085_938_688, "7b": 7_615_616_512,
                "14b": 14_770_033_664, "32b": 32_763_876_352, "72b": 72_706_203_648},
    "qwen3": {"0.6b": 596_049_920, "1.7b": 1_720_574_976, "4b": 4_022_468_096, "8b": 8_190_735_360,
              "14b": 14_768_307_200, "32b": 32_762_123_264},
    "gemma": {"2b": 2_506_172_416, "7b": 8_537_680_896},
    "gemma2": {"2b": 2_614_341_888, "9b": 9_241_705_984, "27b": 27_227_128_320},
    "gemma3": {"270m": 268_098_176, "1b": 999_885_952, "4b": 3_880_263_168, "12b": 11_766_034_176,
               "27b": 27_009_346_304},
    "olmo2": {"1b": 1_484_916_736, "7b": 7_298_617_344, "13b": 13_716_198_400, "32b": 32_234_279_936},
    "phi3": {"mini_4k": 3_821_079_552, "medium_4k": 13_960_238_080},
    "phi4": {"": 14_659_507_200},
    "flan": {"137b": 137.4e9 + 32000 * 8192},
}  # fmt: skip
# FLAN's names round down what the published shapes have, or a shape was chosen for them: beside the embeddings.
ROUNDED = {"flan_422m": 422e6, "flan_2b": 2e9, "flan_8b": 8e9, "flan_68b": 68e9}

COUNTS = {
    "_".join(filter(None, (name, size))): count for name, sizes in PUBLISHED.items() for size, count in sizes.items()
}
SIZES = sorted(path.relative_to(MODELS) for path in MODELS.glob("*/*.gin") if path.stem != path.parent.name)


@functools.cache
def configured(file: pathlib.Path) -> DecoderConfig:
    model = planned_config([f"models/{file}"], []).model
    assert model is not None
    return model


@functools.cache
def count(model: DecoderConfig) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(model)))


@pytest.mark.parametrize("file", SIZES, ids=lambda file: file.stem)
def test_a_size_has_the_parameters_that_were_published(file):
    model = configured(file)
    if file.stem in ROUNDED:
        assert 0.99 < (count(model) - model.vocab_size * model.embed_dim) / ROUNDED[file.stem] < 1.1
    else:
        assert count(model) == pytest.approx(COUNTS[file.stem], rel=0.01)


def test_every_published_count_has_a_file():
    assert {*COUNTS, *ROUNDED} == {file.stem for file in SIZES}


@pytest.mark.parametrize("file", SIZES, ids=lambda file: file.stem)
def test_a_size_says_its_parameters_and_little_else(file):
    lines = (MODELS / file).read_text().splitlines()
    first = lines[0].removeprefix("# ").split()[0]
    said = float(first[:-1]) * {"B": 1e9, "M": 1e6}[first[-1]]
    assert said == pytest.approx(count(configured(file)), rel=0.01)
    settings = [line for line in lines if line.startswith("DecoderConfig.")]
    assert len(settings) <= 10
    own = {s.argument for s in read_file(MODELS / file, search_directories()) if s.place.startswith(str(MODELS / file))}
    assert {"vocab_size", "num_layers", "embed_dim", "num_heads", "mlp_dim"} <= own


LLAMA3_ROPE = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
LLAMA_LIKE = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": False}
GEMMA = {"head_dim": 256, "rms_norm_eps": 1e-6, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10_000.0}


def shape(width: int, layers: int, heads: int, kv_heads: int, mlp: int, vocabulary: int, length: int) -> dict:
    return {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "intermediate_size": mlp, "vocab_size": vocabulary,
        "max_position_embeddings": length,
    }  # fmt: skip


# What the config.json of a released model says of the function, by hand.
RELEASED = {
    "opt/opt_125m": ("opt", {
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "ffn_dim": 3072, "vocab_size": 50272,
        "word_embed_proj_dim": 768, "max_position_embeddings": 2048, "do_layer_norm_before": True,
        "activation_function": "relu"}),
    "opt/opt_350m": ("opt", {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "ffn_dim": 4096, "vocab_size": 50272,
        "word_embed_proj_dim": 512, "max_position_embeddings": 2048, "do_layer_norm_before": False,
        "activation_function": "relu"}),
    "pythia/pythia_2.8b": ("gpt_neox", {
        "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 10240,
        "vocab_size": 50304, "max_position_embeddings": 2048, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True, "tie_word_embeddings": False}),
    "pythia/gpt_neox_20b": ("gpt_neox", {
        "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64, "intermediate_size": 24576,
        "vocab_size": 50432, "max_position_embeddings": 2048, "hidden_act": "gelu_fast", "layer_norm_eps": 1e-5,
        "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True, "tie_word_embeddings": False}),
    "gpt2/gpt2_355m": ("gpt2", {
        "n_embd": 1024, "n_layer": 24, "n_head": 16, "n_positions": 1024, "vocab_size": 50257,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}),
    "gptj/gptj_6b": ("gptj", {
        "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048, "vocab_size": 50400, "rotary_dim": 64,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": False}),
    "llama/llama_7b": ("llama", {**LLAMA_LIKE, **shape(4096, 32, 32, 32, 11008, 32000, 2048), "rms_norm_eps": 1e-6}),
    "llama2/llama2_70b": ("llama", {**LLAMA_LIKE, **shape(8192, 80, 64, 8, 28672, 32000, 4096)}),
    "llama3/llama3_8b": ("llama", {
        **LLAMA_LIKE, **shape(4096, 32, 32, 8, 14336, 128256, 8192), "rope_theta": 500000.0}),
    "llama3.1/llama3.1_8b": ("llama", {
        **LLAMA_LIKE, **shape(4096, 32, 32, 8, 14336, 128256, 131072), "rope_theta": 500000.0,
        "rope_scaling": LLAMA3_ROPE}),
    "llama3.2/llama3.2_3b": ("llama", {
        **LLAMA_LIKE, **shape(3072, 28, 24, 8, 8192, 128256, 131072), "head_dim": 128, "rope_theta": 500000.0,
        "rope_scaling": {**LLAMA3_ROPE, "factor": 32.0}, "tie_word_embeddings": True}),
    "mistral/mistral_7b_v0.1": ("mistral", {
        **LLAMA_LIKE, **shape(4096, 32, 32, 8, 14336, 32000, 32768), "sliding_window": 4096, "rope_theta": 10000.0}),
    "mistral/mistral_7b_v0.3": ("mistral", {
        **LLAMA_LIKE, **shape(4096, 32, 32, 8, 14336, 32768, 32768), "sliding_window": None, "rope_theta": 1e6}),
    "qwen2/qwen2_0.5b": ("qwen2", {
        **LLAMA_LIKE, **shape(896, 24, 14, 2, 4864, 151936, 131072), "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "sliding_window": 131072, "use_sliding_window": False, "max_window_layers": 24, "tie_word_embeddings": True}),
    "qwen2.5/qwen2.5_14b": ("qwen2", {
        **LLAMA_LIKE, **shape(5120, 48, 40, 8, 13824, 152064, 131072), "rope_theta": 1e6, "sliding_window": 131072,
        "use_sliding_window": False, "max_window_layers": 48}),
    "qwen3/qwen3_8b": ("qwen3", {
        **LLAMA_LIKE, **shape(4096, 36, 32, 8, 12288, 151936, 40960), "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "head_dim": 128, "attention_bias": False, "use_sliding_window": False, "max_window_layers": 36}),
    "gemma/gemma_2b": ("gemma", {**GEMMA, **shape(2048, 18, 8, 1, 16384, 256000, 8192), "hidden_act": "gelu"}),
    "gemma2/gemma2_27b": ("gemma2", {
        **GEMMA, **shape(4608, 46, 32, 16, 36864, 256000, 8192), "head_dim": 128, "query_pre_attn_scalar": 144,
        "sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
    "gemma3/gemma3_1b": ("gemma3_text", {
        **GEMMA, **shape(1152, 26, 4, 1, 6912, 262144, 32768), "query_pre_attn_scalar": 256, "rope_theta": 1e6,
        "rope_local_base_freq": 10000, "sliding_window": 512, "sliding_window_pattern": 6}),
    "gemma3/gemma3_27b": ("gemma3_text", {
        **GEMMA, **shape(5376, 62, 32, 16, 21504, 262208, 131072), "head_dim": 128, "query_pre_attn_scalar": 168,
        "rope_theta": 1e6, "rope_local_base_freq": 10000, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window": 1024, "sliding_window_pattern": 6}),
    "olmo2/olmo2_7b": ("olmo2", {
        **LLAMA_LIKE, **shape(4096, 32, 32, 32, 11008, 100352, 4096), "rms_norm_eps": 1e-6, "rope_theta": 500000}),
    "phi3/phi3_mini_4k": ("phi3", {
        **LLAMA_LIKE, **shape(3072, 32, 32, 32, 8192, 32064, 4096), "rope_theta": 10000.0, "sliding_window": 2047}),
    "phi3/phi4": ("phi3", {
        **LLAMA_LIKE, **shape(5120, 40, 40, 10, 17920, 100352, 16384), "rope_theta": 250000, "sliding_window": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASED)
def test_a_size_is_the_decoder_that_the_released_configuration_describes(name):
    model_type, fields = RELEASED[name]
    released = read_config(family(model_type), {"model_type": model_type, **fields}, "config.json")
    wanted, have = (dataclasses.asdict(canonical(one)) for one in (released, configured(pathlib.Path(f"{name}.gin"))))
    assert {field: value for field, value in have.items() if value != wanted[field]} == {}
