"""Reading a `config.json`: every field is honoured, known to change nothing, or refused by name and value."""

import sys
from collections.abc import Mapping
from typing import Any

from .errors import UnsupportedModel

# What says nothing about the function that the weights compute: names, token ids, training, generation, bookkeeping.
# Dropout is of training; this library trains without.
_HARMLESS = (
    "_name_or_path _attn_implementation _commit_hash architectures attention_dropout attn_pdrop auto_map bad_words_ids "
    "begin_suppress_tokens bos_token_id cache_implementation chunk_size_feed_forward classifier_dropout "
    "cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dropout dtype early_stopping "
    "embd_pdrop encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task "
    "forced_bos_token_id forced_eos_token_id gradient_checkpointing hidden_dropout id2label init_std "
    "initializer_range label2id layerdrop length_penalty max_length min_length model_type no_repeat_ngram_size "
    "num_beam_groups num_beams num_labels num_return_sequences output_attentions output_hidden_states output_scores "
    "pad_token_id prefix pretraining_tp problem_type remove_invalid_values repetition_penalty resid_pdrop return_dict "
    "return_dict_in_generate sep_token_id suppress_tokens task_specific_params temperature tokenizer_class top_k top_p "
    "torch_dtype torchscript transformers_version typical_p use_cache"
)
HARMLESS = frozenset(_HARMLESS.split())
# Fields of any model that change the function, with the values that leave it alone.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "is_decoder": (True, False),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "tie_encoder_decoder": (False,),
    "tf_legacy_loss": (False,),
    "use_bfloat16": (False,),
    "use_bidirectional_attention": (False,),
}

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}

ACTIVATION_NAMES = {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
"""The other way round, as the older families write them."""

_REQUIRED: Any = object()


class Fields:
    """The fields of a `config.json`, which remembers which of them were read."""

    def __init__(self, values: Mapping[str, Any], where: str):
        self.values, self.where, self.read = dict(values), where, set[str]()

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value; the default where it is absent.  Raises UnsupportedModel where it is absent and there is none."""
        self.read.add(name)
        value = self.values.get(name, default)
        if value is _REQUIRED:
            raise UnsupportedModel(f"{self.where} has no {name!r}, without which the model is not known; add it")
        return value

    def count(self, name: str, default: Any = _REQUIRED) -> int:
        """A whole number, 0 or more."""
        return self._whole(name, default, 0)

    def size(self, name: str, default: Any = _REQUIRED) -> int:
        """A whole number, 1 or more."""
        return self._whole(name, default, 1)

    def optional_size(self, name: str, default: int | None = None) -> int | None:
        """A size, or null."""
        return None if self.get(name, default) is None else self.size(name, default)

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """A finite number, 0 or more."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refused(name, value, "it must be a number")
        if not 0 <= value <= sys.float_info.max:  # JSON as Python reads it has NaN, Infinity, and longer integers
            raise self.refused(name, value, "it must be finite and not negative")
        return float(value)

    def positive(self, name: str, default: Any = _REQUIRED) -> float:
        """A finite number, more than 0."""
        value = self.number(name, default)
        if not value:
            raise self.refused(name, value, "it must be more than 0")
        return value

    def optional_positive(self, name: str, default: float | None = None) -> float | None:
        """A finite number, more than 0; or null: switched off."""
        return None if self.get(name, default) is None else self.positive(name, default)

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        value = self.get(name, default)
        if not isinstance(value, str):
            raise self.refused(name, value, "it must be text")
        return value

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object; empty where it is absent or null."""
        value = self.get(name, None)
        if value is not None and not isinstance(value, dict):
            raise self.refused(name, value, "it must be an object, {...}")
        return dict(value or {})

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, value, "it must be true or false")
        return value

    def activation(self, name: str, default: Any = _REQUIRED) -> str:
        value = self.text(name, default)
        if value not in ACTIVATIONS:
            raise self.refused(name, value, f"known: {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    def only(self, name: str, *allowed: Any) -> None:
        """Raises UnsupportedModel unless the field is absent or has one of these values."""
        value = self.get(name, allowed[0])
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise self.refused(name, value, f"only {' or '.join(map(repr, allowed))} is supported")

    def _whole(self, name: str, default: Any, least: int) -> int:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refused(name, value, "it must be a whole number")
        if value < least:
            raise self.refused(name, value, f"it must be at least {least}")
        return value

    def refused(self, name: str, value: Any, why: str) -> UnsupportedModel:
        return UnsupportedModel(f"{self.where}: {name}={value!r} is not supported: {why}")

    def finish(self, family: str) -> None:
        """Raises UnsupportedModel, naming the first field that may change the function and that nobody has read."""
        for name, neutral in NEUTRAL.items():
            if name not in self.read and self.values.get(name) is not None:
                self.only(name, *neutral)
        for name, value in self.values.items():
            if name in self.read or name in HARMLESS or value is None:
                continue
            raise UnsupportedModel(
                f"{self.where}: {name}={value!r} is not a field that {family!r} is known to have, and it may change"
                f" what the model computes;\n  remove it from a copy of the file if you know that it does not"
            )
