"""Run with 8 virtual CPU devices; prints as JSON what the same steps come to on different meshes."""

import json
import sys

import jax
import numpy as np

from flan_jax.models.lora import paths
from flan_jax.training.checkpoints import Checkpoints
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.partitioning import MeshConfig, MeshMismatch, batch_sharding, make_mesh, put_batch
from flan_jax.training.train_step import make_trainer
from flan_jax.training.trainable import Lora, SoftPrompt
from tests.training.conftest import MODEL, packed

MESHES = {
    "one": (1, MeshConfig()),
    "data": (8, MeshConfig(data=8)),
    "mixed": (8, MeshConfig(data=-1, fsdp=2, tensor=2)),
    "sequence": (4, MeshConfig(data=2, sequence=2)),
    "tensor4": (8, MeshConfig(data=-1, tensor=4)),  # more than there are key and value heads
    "fsdp2": (2, MeshConfig(data=1, fsdp=-1)),
    "fsdp4": (4, MeshConfig(data=1, fsdp=-1)),
}
TUNINGS = {"lora": Lora(rank=2, targets=("*/query", "*/output", "*/up")), "prompt": SoftPrompt(length=4)}
BATCHES = [packed(8, 64, seed) for seed in range(4)]


class Run:
    """A trainer on a mesh, compiled once."""

    def __init__(self, name):
        count, mesh = MESHES[name]
        self.trainer = make_trainer(
            MODEL, OptimizerConfig(learning_rate=1e-2), make_mesh(mesh, jax.devices()[:count]), steps=10,
            microbatches=2 if name == "mixed" else 1, loss_chunk=16 if name == "sequence" else 0,
        )  # fmt: skip
        self.step = self.trainer.make_step()

    def placed(self, arrays):
        return jax.tree.map(
            lambda array, like: jax.device_put(array, like.sharding), arrays, self.trainer.abstract_state()
        )

    def follow(self, state, batches):
        sharding, seen = batch_sharding(self.trainer.mesh), []
        for batch in batches:
            state, metrics = self.step(state, put_batch(batch, sharding, 8))
            seen.append([float(metrics["loss"]), float(metrics["grad_norm"])])
        return state, seen


def tuned(name, tuning, base):
    """(losses and gradient norms of two steps, share of each array on a device) of what trains on top of a base."""
    count, mesh = MESHES[name]
    mesh = make_mesh(mesh, jax.devices()[:count])
    trainer = make_trainer(MODEL, OptimizerConfig(learning_rate=1e-2), mesh, steps=10, tuning=tuning)
    frozen = jax.tree.map(lambda array, like: jax.device_put(array, like.sharding), base, trainer.abstract_frozen())
    state, step, seen = trainer.initial_state(0, frozen), trainer.make_step(frozen), []
    for batch in BATCHES[:2]:
        state, metrics = step(state, put_batch(batch, batch_sharding(mesh), 8))
        seen.append([float(metrics["loss"]), float(metrics["grad_norm"])])
    return seen, {path: leaf.addressable_shards[0].data.size / leaf.size for path, leaf in paths(state.params).items()}


def main(folder):
    runs = {name: Run(name) for name in MESHES}
    found = {"meshes": {}, "cut": {}, "restored": {}}
    begin = jax.device_get(runs["one"].trainer.initial_state(0))
    for mine, other in zip(
        jax.tree.leaves(runs["mixed"].trainer.initial_state(0)), jax.tree.leaves(begin), strict=True
    ):
        np.testing.assert_array_equal(mine, other)  # what is drawn does not depend on the mesh

    for name in ("one", "data", "sequence", "tensor4", "mixed"):
        state, first = runs[name].follow(runs[name].placed(begin), BATCHES[:2])
        if name == "mixed":
            written = jax.device_get(state)
            checkpoints = Checkpoints(folder)
            checkpoints.save(state, {})
            checkpoints.close()
        state, found["undisturbed"] = runs[name].follow(state, BATCHES[2:])
        found["meshes"][name] = first + found["undisturbed"]
        up = state.params["layers"]["mlp"]["up"]
        found["cut"][name] = up.addressable_shards[0].data.size / up.size
        assert state.opt_state[1][0].mu["layers"]["mlp"]["up"].sharding == up.sharding

    for name in ("one", "fsdp2", "fsdp4"):
        restored = Checkpoints(folder).restore_latest(runs[name].trainer.abstract_state()).state
        for leaf, other in zip(jax.tree.leaves(restored), jax.tree.leaves(written), strict=True):
            np.testing.assert_array_equal(leaf, other)
        up = restored.params["layers"]["mlp"]["up"]
        found["cut"][name] = up.addressable_shards[0].data.size / up.size
        found["restored"][name] = runs[name].follow(restored, BATCHES[2:])[1]

    for kind, tuning in TUNINGS.items():
        found[kind] = {name: tuned(name, tuning, begin.params) for name in ("one", "mixed")}

    try:
        make_mesh(MeshConfig(data=3, fsdp=2))
    except MeshMismatch as error:
        found["misfit"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
