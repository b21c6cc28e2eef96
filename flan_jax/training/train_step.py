"""One optimisation step: a pure function of state and batch, compiled once."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from flan_jax.errors import FlanJaxError
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import abstract_params, apply, init_params, logical_axes
from flan_jax.training import partitioning
from flan_jax.training.loss import chunk_length, token_cross_entropy
from flan_jax.training.optimizers import OptimizerConfig, Schedule, make_optimizer, make_schedule, updates_made

NanPolicy = Literal["stop", "skip"]
Batch = Mapping[str, Array]


class NonFiniteLoss(FlanJaxError, FloatingPointError):
    """Loss or gradient is NaN or infinite."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """Everything that a step changes.  The batch of step s is a function of (plan, s), so this is all that resuming
    needs.
    """

    step: Any  # int32 []; or what describes it, as for the others
    params: Any
    opt_state: Any


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What a run is made of, and where its arrays live: the model, the optimiser, the mesh and the abstract state."""

    model: DecoderConfig
    optimizer: optax.GradientTransformation
    schedule: Schedule
    mesh: Mesh
    microbatches: int = 1
    loss_chunk: int = 0

    def abstract_state(self) -> TrainState:
        """Shapes, types and shardings of the state: what `Checkpoints.restore` fills."""
        params = abstract_params(self.model)
        cut = partitioning.shardings(self.mesh, params, logical_axes(self.model))
        whole = partitioning.replicated(self.mesh)
        statistics = jax.eval_shape(self.optimizer.init, params)
        # A statistic shaped like its parameter is cut like it; Adafactor's rows and columns are small and stay whole.
        where = optax.tree_utils.tree_map_params(
            self.optimizer,
            lambda statistic, param, sharding: sharding if statistic.shape == param.shape else whole,
            statistics,
            params,
            cut,
            transform_non_params=lambda _: whole,
        )
        step = jax.ShapeDtypeStruct((), jnp.int32, sharding=whole)
        return TrainState(step, partitioning.placed(params, cut), partitioning.placed(statistics, where))

    def initial_state(self, seed: int, params: Any = None) -> TrainState:
        """Step 0, with fresh parameters drawn from `seed` or the given ones; made in place on the mesh."""
        placed = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state())

        def make(params: Any) -> TrainState:
            params = init_params(self.model, seed) if params is None else params
            return TrainState(jnp.zeros((), jnp.int32), params, self.optimizer.init(params))

        return jax.jit(make, out_shardings=placed)(params)

    def make_step(self) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]:
        """The compiled step.  Deterministic: the same state and batch give the same bits.  The old state is consumed.

        Metrics (fp32 scalars): loss (nats a target token), grad_norm (before clipping), learning_rate, target_tokens,
        tokens (that are not padding), finite (0 or 1).  A step whose loss or gradient is not finite leaves parameters
        and optimiser as they were; whether the run goes on is the caller's business.
        """
        placed = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state())
        rows = partitioning.batch_sharding(self.mesh)
        return jax.jit(
            self._step,
            in_shardings=(placed, rows),
            out_shardings=(placed, partitioning.replicated(self.mesh)),
            donate_argnums=0,
        )

    def make_loss(self) -> Callable[[Any, Batch], tuple[Float[Array, ""], Float[Array, ""]]]:
        """Compiled `params, batch -> summed nats, summed weights`, for validation."""
        placed = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state().params)
        rows = partitioning.batch_sharding(self.mesh)
        return jax.jit(self.loss_sums, in_shardings=(placed, rows), out_shardings=partitioning.replicated(self.mesh))

    def loss_sums(self, params: Any, batch: Batch) -> tuple[Float[Array, ""], Float[Array, ""]]:
        params = self._with_whole_tables(params)
        hidden = apply(self.model, params, batch["tokens"], batch["positions"], batch["segment_ids"])
        spec = NamedSharding(self.mesh, PartitionSpec(("data", "fsdp"), "sequence", None))
        hidden = jax.lax.with_sharding_constraint(hidden, spec)
        platform = self.mesh.devices.flat[0].platform
        rows, length = batch["tokens"].shape
        chunk = self.loss_chunk or chunk_length(rows, length, self.model.vocab_size, platform, self.mesh.size)
        return token_cross_entropy(self.model, params, hidden, batch["tokens"], batch["loss_weights"], chunk)

    def _with_whole_tables(self, params: Any) -> Any:
        """Params with the width of what tokens look up gathered over fsdp, as that of other weights is when used.

        XLA would cut what was looked up as the table is, by width, and knows no way from there to activations cut by
        rows but to make them whole on every device ("involuntary full rematerialization").
        """
        cuts = {"embedding": PartitionSpec(partitioning.LOGICAL_RULES["vocab"], None), "positions": PartitionSpec()}
        tables = {
            name: jax.lax.with_sharding_constraint(params[name], NamedSharding(self.mesh, cut))
            for name, cut in cuts.items()
            if name in params
        }
        return {**params, **tables}

    def _step(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
        target_tokens = jnp.sum(batch["loss_weights"][:, 1:])
        loss, gradients = self.gradients(state.params, batch, jnp.maximum(target_tokens, 1e-6))
        grad_norm = optax.global_norm(gradients)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        updates, opt_state = self.optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (params, opt_state), (state.params, state.opt_state)
        )
        metrics = {
            "loss": loss,
            "grad_norm": grad_norm,
            "learning_rate": jnp.asarray(self.schedule(updates_made(state.opt_state)), jnp.float32),
            "target_tokens": target_tokens,
            "tokens": jnp.sum(batch["segment_ids"] > 0, dtype=jnp.float32),
            "finite": finite.astype(jnp.float32),
        }
        return TrainState(state.step + 1, params, opt_state), metrics

    def gradients(self, params: Any, batch: Batch, target_tokens: Array | float) -> tuple[Array, Any]:
        """Loss and its gradient: sums over all microbatches, over the target tokens of the whole batch."""

        def loss(params: Any, batch: Batch) -> Array:
            return self.loss_sums(params, batch)[0] / target_tokens

        if self.microbatches == 1:
            return jax.value_and_grad(loss)(params, batch)

        rows = NamedSharding(self.mesh, PartitionSpec(None, ("data", "fsdp"), "sequence"))

        def split(array: Array) -> Array:  # row r goes to microbatch r mod n: every device keeps the rows it has
            parts = array.reshape(-1, self.microbatches, array.shape[1])
            return jax.lax.with_sharding_constraint(jnp.swapaxes(parts, 0, 1), rows)

        def add(sums: Any, microbatch: Batch) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, jax.value_and_grad(loss)(params, microbatch)), None

        zeros = (jnp.zeros(()), jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params))
        return jax.lax.scan(add, zeros, jax.tree.map(split, dict(batch)))[0]


def make_trainer(
    model: DecoderConfig,
    optimizer: OptimizerConfig | None = None,
    mesh: Mesh | None = None,
    *,
    steps: int,
    microbatches: int = 1,
    loss_chunk: int = 0,
) -> Trainer:
    """A `Trainer` from its settings; `steps` is the length of the learning-rate schedule."""
    optimizer = optimizer or OptimizerConfig()
    return Trainer(
        model,
        make_optimizer(optimizer, steps, logical_axes(model)),
        make_schedule(optimizer, steps),
        mesh if mesh is not None else partitioning.make_mesh(),
        microbatches,
        loss_chunk,
    )
