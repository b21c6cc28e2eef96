"""The plan of a run: exact where arrays are laid out, near XLA's own analysis where they are not."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models.config import DecoderConfig
from flan_jax.planning.memory_plan import PlanError, on_device, plan_memory
from flan_jax.training import partitioning
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.partitioning import MeshConfig, MeshMismatch
from flan_jax.training.run_config import TrainConfig
from flan_jax.training.train_step import make_trainer
from flan_jax.training.trainable import Lora

MODEL = DecoderConfig(vocab_size=1024, num_layers=3, embed_dim=128, num_heads=4, mlp_dim=256, scan_layers=True)
CLASSIC = dataclasses.replace(
    MODEL, norm="layer", position="learned", gated_mlp=False, qkv_bias=True, mlp_bias=True, tied_embeddings=True
)


def run(model: DecoderConfig, **settings) -> TrainConfig:
    batch = {"steps": 100, "tokens_per_batch": 2048, "row_length": 256, **settings}
    return TrainConfig(
        mixture="none",
        store="none",
        vocabulary="none",
        model_dir="none",
        initial_checkpoint="none",
        model=model,
        **batch,
    )


def analysed(config: TrainConfig) -> tuple[int, int]:
    """(bytes of arguments, bytes of all) of the compiled step."""
    assert config.model is not None
    mesh = partitioning.make_mesh(MeshConfig(), jax.devices()[:1])
    trainer = make_trainer(
        config.model, config.optimizer, mesh, steps=config.steps, microbatches=config.microbatches, tuning=config.tune
    )
    integers = jax.ShapeDtypeStruct((config.rows_per_batch, config.row_length), jnp.int32)
    batch = {"tokens": integers, "positions": integers, "segment_ids": integers}
    batch["loss_weights"] = jax.ShapeDtypeStruct(integers.shape, jnp.float32)
    step = trainer.jitted_step().lower(trainer.abstract_state(), batch, trainer.abstract_frozen())
    found = step.compile().memory_analysis()
    rest = found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    return found.argument_size_in_bytes, found.argument_size_in_bytes + rest


@pytest.mark.parametrize(
    ("model", "microbatches"),
    [(MODEL, 1), (dataclasses.replace(CLASSIC, remat="full"), 2), (dataclasses.replace(MODEL, scan_layers=False), 1)],
    ids=["scanned", "classic in microbatches, full remat", "unrolled"],
)
def test_a_plan_is_near_what_xla_says(model, microbatches):
    config = run(model, microbatches=microbatches)
    plan, (arguments, total) = plan_memory(config), analysed(config)
    assert plan.weights + plan.optimizer + plan.batch == pytest.approx(arguments, abs=64)
    assert plan.total == pytest.approx(total, rel=0.08)


def test_weights_gradients_and_optimiser_are_those_of_the_arrays():
    config = run(MODEL)
    trainer = make_trainer(MODEL, config.optimizer, steps=config.steps)
    state = trainer.initial_state(0)
    weights, statistics = (
        sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in (state.params, state.opt_state)
    )
    plan = plan_memory(config)
    assert (plan.weights, plan.gradients, plan.optimizer) == (weights, weights, statistics)
    assert sum(plan.parameters.values()) == plan.trained == weights // 4
    assert plan.parameters == {
        "embedding": 1024 * 128, "attention": 3 * 4 * 128 * 128, "mlp": 3 * 3 * 128 * 256, "norms": 7 * 128,
        "head": 128 * 1024,
    }  # fmt: skip


def test_a_mesh_cuts_what_the_run_would_cut():
    """Matrices over fsdp and tensor, norms over none, rows over data and fsdp; without such a number of devices."""
    whole = plan_memory(run(MODEL, tokens_per_batch=4096))
    cut = plan_memory(run(MODEL, tokens_per_batch=4096, mesh=MeshConfig(data=2, fsdp=4, tensor=2)), devices=16)
    norms = whole.parameters["norms"] * 4
    assert cut.sizes == {"data": 2, "fsdp": 4, "tensor": 2, "sequence": 1}
    assert cut.weights - norms == (whole.weights - norms) // 8
    assert cut.batch == whole.batch // 8
    assert cut.saved + cut.temporary < (whole.saved + whole.temporary) / 6


@pytest.mark.parametrize(
    ("devices", "mesh", "says"),
    [(8, MeshConfig(data=1, fsdp=3), "asks for 3 devices"), (16, MeshConfig(fsdp=16, data=1), "rows a batch")],
)
def test_what_the_run_would_refuse_the_plan_refuses(devices, mesh, says):
    with pytest.raises(MeshMismatch, match=says):
        plan_memory(run(MODEL, mesh=mesh), devices)


def test_a_plan_needs_a_model():
    with pytest.raises(PlanError, match="--gin_file=models/"):
        plan_memory(dataclasses.replace(run(MODEL), model=None))


def test_low_rank_adapters_train_little():
    everything, adapters = plan_memory(run(MODEL)), plan_memory(run(MODEL, tune=Lora(rank=2)))
    assert adapters.trained < everything.trained / 10
    assert adapters.weights == everything.weights + 4 * adapters.trained
    assert adapters.optimizer < everything.optimizer / 10
    assert adapters.total < everything.total


def test_settings_have_the_effect_they_are_for():
    plain, two_parts, remat, adafactor = (
        plan_memory(config)
        for config in (
            run(MODEL),
            run(MODEL, microbatches=2),
            run(dataclasses.replace(MODEL, remat="full")),
            run(MODEL, optimizer=OptimizerConfig(name="adafactor")),
        )
    )
    assert two_parts.saved < 0.6 * plain.saved
    assert remat.saved < 0.4 * plain.saved
    assert adafactor.optimizer < 0.2 * plain.optimizer
    assert [one.weights for one in (two_parts, remat, adafactor)] == [plain.weights] * 3


def test_many_unrolled_layers_go_on_as_few_do():
    def total(layers: int) -> int:
        return plan_memory(run(dataclasses.replace(MODEL, num_layers=layers, scan_layers=False))).total

    twelve, thirteen, twenty = total(12), total(13), total(20)  # from 13 on, reckoned from 6 and 12
    assert twenty - twelve == pytest.approx(8 * (thirteen - twelve), rel=1e-3)
    assert thirteen > twelve


def test_the_largest_model_is_planned_without_allocating_it():
    model = DecoderConfig(
        vocab_size=50304, num_layers=96, embed_dim=12288, num_heads=96, mlp_dim=49152, scan_layers=True, remat="full"
    )
    before = time.process_time()
    plan = plan_memory(run(model, mesh=MeshConfig(data=1, fsdp=64), tokens_per_batch=64 * 256), 64, "tpu")
    assert time.process_time() - before < 5
    assert plan.weights > 10e9 and all(not array.size > 1e6 for array in jax.live_arrays())


def test_bytes_on_a_device_are_those_of_its_shard():
    mesh = partitioning.make_mesh(MeshConfig(), jax.devices()[:1])
    array = jax.ShapeDtypeStruct((6, 4), np.float16, sharding=partitioning.replicated(mesh))
    assert on_device({"one": array}) == 48
