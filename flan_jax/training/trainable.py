"""What of a model trains: all of it, low-rank adapters, a soft prompt, or all but what is frozen.

A state holds what trains, and so do its gradients, its optimiser and its checkpoints.  The rest is the base: the
parameters of a checkpoint, which a step reads and nothing writes.
"""

import dataclasses
import fnmatch
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from flan_jax.errors import FlanJaxError
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, abstract_params, init_params, logical_axes
from flan_jax.models.lora import abstract_lora, adapted, init_lora, lora_axes, matrices, merged, paths, tree
from flan_jax.models.prefix import PREFIX
from flan_jax.models.soft_prompt import behind_prompt, read_prompt, rows_of_vocabulary, with_prompt


class TuningError(FlanJaxError, ValueError):
    """A setting of what trains that cannot be followed."""


@dataclasses.dataclass(frozen=True)
class Everything:
    """All parameters train."""

    @property
    def has_base(self) -> bool:
        """Whether part of the model stays what a checkpoint says."""
        return False

    def decoder(self, model: DecoderConfig) -> DecoderConfig:
        """The decoder as it reads what `composed` gives."""
        return model

    def abstract(self, model: DecoderConfig) -> Params:
        """Shapes and types of what trains."""
        return abstract_params(model)

    def axes(self, model: DecoderConfig) -> Params:
        """Logical axis names of the same tree."""
        return logical_axes(model)

    def frozen(self, whole: Params) -> Params:
        """What a step needs beside what trains, of a tree that has something for every parameter of the model."""
        return {}

    def initial(self, model: DecoderConfig, seed: Any, base: Params | None) -> Params:
        """What trains, before the first step."""
        return init_params(model, seed) if base is None else base

    def composed(self, model: DecoderConfig, trained: Params, frozen: Params) -> Params:
        """The parameters that a step computes with, differentiable in `trained`."""
        return trained

    def deployed(self, model: DecoderConfig, trained: Params, base: Params) -> Params:
        """The parameters that a finished model has.  `base` may be consumed."""
        return trained


@dataclasses.dataclass(frozen=True)
class Lora(Everything):
    """Low-rank adapters train (`models/lora.py`): `rank` and `alpha` of Hu et al. 2021, on the matrices of the layers
    that one of the patterns `targets` matches, as "layers/attention/*" or "*/query".  No dropout.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("layers/*",)

    def __post_init__(self) -> None:
        _require(self, "rank", "a whole number of at least 1", type(self.rank) is int and self.rank >= 1)
        _require(self, "alpha", "more than 0", self.alpha > 0)

    @property
    def has_base(self) -> bool:
        return True

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def adapts(self, model: DecoderConfig) -> list[str]:
        """The paths of the matrices that are adapted.  Raises TuningError, with those there are, for a pattern that
        matches none."""
        return matching("Lora.targets", self.targets, matrices(model))

    def abstract(self, model: DecoderConfig) -> Params:
        return abstract_lora(model, self.adapts(model), self.rank)

    def axes(self, model: DecoderConfig) -> Params:
        return lora_axes(model, self.adapts(model))

    def frozen(self, whole: Params) -> Params:
        return whole

    def initial(self, model: DecoderConfig, seed: Any, base: Params | None) -> Params:
        return init_lora(model, self.adapts(model), self.rank, seed)

    def composed(self, model: DecoderConfig, trained: Params, frozen: Params) -> Params:
        return adapted(frozen, trained, self.scale)

    def deployed(self, model: DecoderConfig, trained: Params, base: Params) -> Params:
        """Merged, a matrix at a time, each in place of the one it is made from."""
        whole, learned = paths(base), paths(trained)
        for path in self.adapts(model):
            weight = whole[path]
            merge = jax.jit(partial(merged, scale=self.scale), donate_argnums=0, out_shardings=weight.sharding)
            whole[path] = merge(weight, learned[f"{path}/a"], learned[f"{path}/b"])
        return tree(whole)


@dataclasses.dataclass(frozen=True)
class SoftPrompt(Everything):
    """A prompt of `length` rows in front of every document trains (`models/soft_prompt.py`), and the model stays as it
    is.  It begins as rows of the vocabulary, drawn from the first `ids` ids (None: all), or "normal", with the
    standard deviation of fresh embeddings.
    """

    length: int = 10
    begins_as: Literal["vocabulary", "normal"] = "vocabulary"
    ids: int | None = None

    def __post_init__(self) -> None:
        _require(self, "length", "a whole number of at least 1", type(self.length) is int and self.length >= 1)
        begins = ("vocabulary", "normal")
        _require(self, "begins_as", "'vocabulary' or 'normal'", self.begins_as in begins)
        _require(self, "ids", "at least 1, or None for all", self.ids is None or self.ids >= 1)

    @property
    def has_base(self) -> bool:
        return True

    def decoder(self, model: DecoderConfig) -> DecoderConfig:
        return behind_prompt(model, self.length)

    def abstract(self, model: DecoderConfig) -> Params:
        return {"prompt": jax.ShapeDtypeStruct((self.length, model.embedding_dim or model.embed_dim), jnp.float32)}

    def axes(self, model: DecoderConfig) -> Params:
        return {"prompt": ("prompt", None)}  # kilobytes: whole on every device

    def frozen(self, whole: Params) -> Params:
        return whole

    def initial(self, model: DecoderConfig, seed: Any, base: Params | None) -> Params:
        ids = model.vocab_size if self.ids is None else self.ids
        if ids > model.vocab_size:
            raise TuningError(f"SoftPrompt.ids={ids} is more than the {model.vocab_size} ids of the vocabulary")
        if self.begins_as == "vocabulary":
            assert base is not None  # TrainConfig sees to it
            return {"prompt": rows_of_vocabulary(base, self.length, seed, ids)}
        shape = self.abstract(model)["prompt"].shape
        return {"prompt": jax.random.normal(jax.random.key(seed), shape, jnp.float32) * shape[1] ** -0.5}

    def composed(self, model: DecoderConfig, trained: Params, frozen: Params) -> Params:
        return with_prompt(self.decoder(model), frozen, trained["prompt"])

    def deployed(self, model: DecoderConfig, trained: Params, base: Params) -> Params:
        prefix = jax.jit(partial(read_prompt, self.decoder(model)))(base, trained["prompt"])
        return {**base, "layers": {**base["layers"], PREFIX: prefix}}


@dataclasses.dataclass(frozen=True)
class Freeze(Everything):
    """All parameters train but those that one of the patterns `names` matches and none of `but`.

    Names are paths as "layers/mlp/up", of all layers together; "*" matches any part of one.
    """

    names: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    @property
    def has_base(self) -> bool:
        return True

    def trains(self, there: Sequence[str]) -> list[str]:
        """The names that train.  Raises TuningError if a pattern matches none, or if all of them train, or none."""
        frozen = set(matching("Freeze.names", self.names, there))
        if self.but:
            frozen -= set(matching("Freeze.but", self.but, there))
        if not frozen or len(frozen) == len(there):
            left = "everything" if frozen else "nothing"
            raise TuningError(f"--gin.Freeze.names={self.names} but {self.but} freezes {left} of\n  {', '.join(there)}")
        return [name for name in there if name not in frozen]

    def abstract(self, model: DecoderConfig) -> Params:
        return self._trained(abstract_params(model))

    def axes(self, model: DecoderConfig) -> Params:
        return self._trained(logical_axes(model))

    def frozen(self, whole: Params) -> Params:
        leaves = paths(whole)
        return tree({name: leaves[name] for name in leaves if name not in self.trains(list(leaves))})

    def initial(self, model: DecoderConfig, seed: Any, base: Params | None) -> Params:
        assert base is not None  # TrainConfig sees to it
        return self._trained(base)

    def composed(self, model: DecoderConfig, trained: Params, frozen: Params) -> Params:
        return tree({**paths(frozen), **paths(trained)})

    def deployed(self, model: DecoderConfig, trained: Params, base: Params) -> Params:
        return self.composed(model, trained, base)

    def _trained(self, whole: Params) -> Params:
        leaves = paths(whole)
        return tree({name: leaves[name] for name in self.trains(list(leaves))})


KINDS: dict[str, type[Everything]] = {kind.__name__: kind for kind in (Everything, Lora, SoftPrompt, Freeze)}


def recorded(tuning: Everything) -> dict[str, Any]:
    """What a checkpoint says of what trains, as JSON data; `read_tuning` reads it."""
    return {"kind": type(tuning).__name__, **dataclasses.asdict(tuning)}


def read_tuning(record: dict[str, Any] | None) -> Everything:
    """What trained, from the metadata of a checkpoint; of older versions, which say nothing of it, everything.

    Raises TuningError if it is of a kind, or has a setting, that is unknown here.
    """
    settings = dict(record or {"kind": "Everything"})
    kind = KINDS.get(settings.pop("kind"))
    known = {field.name for field in dataclasses.fields(kind)} if kind else set()
    if kind is None or set(settings) - known:
        raise TuningError(f"the checkpoint says {record} of what was trained, which this version does not know")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})


def matching(setting: str, patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that one of the patterns matches.  Raises TuningError for a pattern that matches none."""
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise TuningError(f"--gin.{setting}={tuple(patterns)}: {pattern!r} matches none of\n  {', '.join(names)}")
    if not patterns:
        raise TuningError(f"--gin.{setting} is empty; it takes patterns of\n  {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _require(tuning: Everything, name: str, wanted: str, holds: bool) -> None:
    if not holds:
        raise TuningError(f"--gin.{type(tuning).__name__}.{name}={getattr(tuning, name)!r} should be {wanted}")
