"""Every model of `torch_models`, saved, imported and exported once."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import torch_models

from flan_jax.interop.export_hf import export_hf
from flan_jax.interop.import_hf import Source, import_hf, read_source
from flan_jax.models import decoder
from flan_jax.models.config import DecoderConfig

hidden = jax.jit(decoder.apply, static_argnums=0)


class Imported(NamedTuple):
    model: Any
    source: Source
    config: DecoderConfig
    params: Any

    def logits(self, tokens: np.ndarray, positions: np.ndarray, segment_ids: np.ndarray) -> np.ndarray:
        states = hidden(self.config, self.params, tokens, positions, segment_ids)
        return np.asarray(decoder.logits(self.config, self.params, states))


@pytest.fixture(scope="session")
def imported(tmp_path_factory):
    """`imported(name)`: the model in transformers and here, made once."""
    made: dict[str, Imported] = {}

    def get(name: str) -> Imported:
        if name not in made:
            directory = tmp_path_factory.mktemp("saved") / name
            model = torch_models.save(name, directory)
            source = read_source(directory)
            config, params = import_hf(source)
            made[name] = Imported(model, source, dataclasses.replace(config, scan_layers=True), params)
        return made[name]

    return get


@pytest.fixture(scope="session")
def exported(imported, tmp_path_factory):
    """`exported(name)`: the folder to which the imported model was written, in several files."""
    made: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in made:
            one = imported(name)
            directory = tmp_path_factory.mktemp("exported") / name
            model_type, original = one.source.family.model_type, one.source.original
            export_hf(directory, model_type, one.config, one.params, original=original, max_shard_bytes=20_000)
            made[name] = directory
        return made[name]

    return get
