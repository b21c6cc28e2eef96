"""Checkpoints: written in the background, whole or not at all, checked before use, restored on any mesh.

    <directory>/model.json                 the model's configuration, for people and other tools
    <directory>/vocabulary/                the vocabulary the model reads
    <directory>/checkpoints/<step>/        params/ optimizer/ metadata/ (Orbax items) and manifest.json

Where not all of a model trains (`trainable.py`), they hold what does, and name the checkpoint that has the rest.

Orbax writes into a temporary directory and renames it.  Just before the rename the digest of every file is put into
manifest.json, so that a directory with a plain number for a name is whole, and damage done to it later is found.
"""

import contextlib
import dataclasses
import logging
import os
import platform
from collections.abc import Mapping
from importlib import metadata as distributions
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from flan_jax.errors import FlanJaxError
from flan_jax.models.config import DecoderConfig
from flan_jax.training import partitioning
from flan_jax.training.integrity import checkpoint_steps as checkpoint_steps
from flan_jax.training.integrity import damage_of, manifest_digest, write_manifest
from flan_jax.training.resumption import differences
from flan_jax.training.train_step import TrainState
from flan_jax.training.trainable import Everything, read_tuning

logger = logging.getLogger(__name__)

_ELSEWHERE = "another --gin.MODEL_DIR (in a sweep --gin.SWEEP_DIR)"


class CheckpointError(FlanJaxError, RuntimeError):
    """A checkpoint could not be written or read."""


class CheckpointMismatch(CheckpointError):
    """A whole checkpoint that does not belong to this run: other shapes or settings."""


class Restored(NamedTuple):
    state: TrainState
    metadata: dict[str, Any]


class _Handler(ocp.CompositeCheckpointHandler):
    """Orbax's handler of several items; `finalize` runs on one process, when all is written, before the rename."""

    def finalize(self, directory: epath.Path) -> None:
        super().finalize(directory)
        write_manifest(epath.Path(directory))


@ocp.args.register_with_handler(_Handler, for_save=True, for_restore=True)
class _Items(ocp.args.Composite):
    pass


def _handler(at_once_gb: float | None = None) -> _Handler:
    bounds: dict[str, Any] = {}
    if at_once_gb is not None:
        names = ("save_concurrent_gb", "save_device_host_concurrent_gb")
        bounds = {**dict.fromkeys(names, at_once_gb), "use_compression": False}
    return _Handler(
        params=ocp.PyTreeCheckpointHandler(**bounds),
        optimizer=ocp.PyTreeCheckpointHandler(),
        metadata=ocp.JsonCheckpointHandler(),
    )


class Checkpoints:
    """The checkpoints of one run.  `keep` newest stay, and besides them every step divisible by `keep_every` (0: none).

    `at_once_gb` bounds how much is on its way to the disk at a time, and leaves it uncompressed: a save then takes
    little memory, but no array may change or go before `wait` returns.
    Every process of the run makes one, with the same arguments, and calls its methods at the same steps.
    """

    def __init__(self, directory: epath.PathLike, keep: int = 2, keep_every: int = 0, at_once_gb: float | None = None):
        if keep < 1:
            raise CheckpointError(f"keep={keep}: at least the newest checkpoint stays; set --gin.train.keep=1")
        self.directory = epath.Path(directory).resolve()  # Orbax wants absolute paths
        self.steps_directory = self.directory / "checkpoints"
        self.keep, self.keep_every = keep, keep_every
        self._saving: int | None = None
        if jax.process_index() == 0:
            self.steps_directory.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
        self._checkpointer = ocp.AsyncCheckpointer(_handler(at_once_gb))

    def steps(self) -> list[int]:
        return checkpoint_steps(self.directory)

    def save(self, state: TrainState, metadata: Mapping[str, Any]) -> None:
        """Copy the state off the device and write it in the background.  Waits for the save before this one, if any.

        Raises `CheckpointError` if that one failed; what was written earlier is untouched.
        """
        self.wait()
        step = int(state.step)
        described = {
            **metadata,
            "step": step,
            "arrays": array_shapes(state.params, state.opt_state),
            "versions": package_versions(),
        }
        items = _Items(
            params=ocp.args.PyTreeSave(state.params),
            optimizer=ocp.args.PyTreeSave(named_leaves(state.opt_state)),
            metadata=ocp.args.JsonSave(described),
        )
        self._saving = step
        try:
            self._checkpointer.save(self._path(step), args=items, force=True)
        except Exception as error:
            raise self._failed(error) from error

    def wait(self) -> None:
        """Until the save in the background is committed; then remove checkpoints no longer kept."""
        if self._saving is None:
            return
        try:
            self._checkpointer.wait_until_finished()
        except Exception as error:
            raise self._failed(error) from error
        self._saving = None
        if jax.process_index() == 0:
            for step in self.steps()[: -self.keep]:
                if not (self.keep_every and step % self.keep_every == 0):
                    self._path(step).rmtree()

    def close(self) -> None:
        self.wait()
        self._checkpointer.close()

    def restore_latest(self, abstract: TrainState, settings: Mapping[str, Any] | None = None) -> Restored | None:
        """The newest whole checkpoint, placed as the shardings of `abstract` say, or None if there is none.

        A damaged one is set aside (renamed `<step>.damaged`) with a warning, and the one before it used.
        `settings` are those its metadata must have (`resumption.decisive_settings`).
        Raises `CheckpointMismatch` if one or a shape differs, `CheckpointError` if every checkpoint is damaged.
        """
        step = self._newest_whole()
        if step is None:
            return None
        metadata = read_metadata(self._path(step))
        self._check(step, metadata, abstract, settings)
        statistics = named_leaves(abstract.opt_state)
        items = _read(self._path(step), params=abstract.params, optimizer=statistics)
        opt_state = jax.tree.unflatten(
            jax.tree.structure(abstract.opt_state), [items["optimizer"][name] for name in statistics]
        )
        return Restored(TrainState(_scalar(step, abstract.step), items["params"], opt_state), metadata)

    def _check(
        self, step: int, metadata: Mapping[str, Any], abstract: TrainState, settings: Mapping[str, Any] | None
    ) -> None:
        where = self._path(step)
        if settings is not None and (differing := differences(metadata.get("settings", {}), settings)):
            told = "\n".join(f"    {line}" for line in differing)
            raise CheckpointMismatch(
                f"{where} was made with other settings:\n{told}\n"
                f"  continue that run:   with the settings it has there{self._as_gin_file(metadata)}\n"
                f"  or start another:    {_ELSEWHERE}, and to begin from its parameters "
                f"--gin.INITIAL_CHECKPOINT=\"'{self.directory}'\""
            )
        check_arrays(where, metadata, array_shapes(abstract.params, abstract.opt_state))

    def _as_gin_file(self, metadata: Mapping[str, Any]) -> str:
        """Where they are written down for `flan-jax train`: a sweep's are those of all its runs."""
        operative = metadata.get("operative_config", "")
        usable = operative and "\nsweep." not in operative
        return f", in place of other files:   --gin_file={self.directory}/operative_config.gin" if usable else ""

    def _newest_whole(self) -> int | None:
        """Judged by process 0, so that all use the same.  -1 travels for "none", -2 for "all damaged"."""
        choice = -1
        if jax.process_index() == 0:
            found = self.steps()
            for step in reversed(found):
                if (damage := damage_of(self._path(step))) is None:
                    choice = step
                    break
                aside = self._path(step).parent / f"{step}.damaged"
                if aside.exists():
                    aside.rmtree()
                self._path(step).rename(aside)
                logger.warning(
                    "checkpoint %s is damaged (%s); set aside as %s, using the one before", step, damage, aside.name
                )
            else:
                choice = -2 if found else -1
        if jax.process_count() > 1:
            choice = int(multihost_utils.broadcast_one_to_all(jax.numpy.int32(choice)))
        if choice == -2:
            raise CheckpointError(
                f"every checkpoint in {self.steps_directory} is damaged (they are now named <step>.damaged); "
                f"run again to start from step 0, or set {_ELSEWHERE}"
            )
        return None if choice < 0 else choice

    def _failed(self, error: Exception) -> CheckpointError:
        failed, self._saving = self._saving, None
        if jax.process_index() == 0:
            self._remove_unfinished()
        whole = self.steps()
        left = (
            f"checkpoint {whole[-1]} is intact and the same command continues from it"
            if whole
            else "there is no earlier one"
        )
        return CheckpointError(
            f"checkpoint {failed} could not be written to {self.steps_directory}: {_first_line(error)}\n"
            f"  {left}; free space there, keep fewer (--gin.train.keep) or set {_ELSEWHERE}"
        )

    def _remove_unfinished(self) -> None:
        for path in self.steps_directory.iterdir():
            if ".orbax-checkpoint-tmp" in path.name:
                with contextlib.suppress(
                    OSError
                ):  # threads of a save that failed may still be writing; the next run clears it
                    path.rmtree(missing_ok=True)

    def _path(self, step: int) -> epath.Path:
        return self.steps_directory / str(step)


def run_and_step(checkpoint: epath.PathLike) -> tuple[epath.Path, int | None]:
    """The run that a path belongs to, and the step it names; the path is the run's or a `checkpoints/<step>` in it."""
    path = epath.Path(checkpoint)
    if path.name.isdigit() and path.parent.name == "checkpoints":
        return path.parent.parent, int(path.name)
    return path, None


def exact_checkpoint(checkpoint: epath.PathLike, step: int | None = None) -> epath.Path:
    """`<run>/checkpoints/<step>`: the newest of the run unless `checkpoint` or `step` names one.  It may be damaged.

    Raises `CheckpointError` if it is not there, or the two name different ones.
    """
    run, named = run_and_step(checkpoint)
    if None not in (named, step) and named != step:
        raise CheckpointError(f"{checkpoint} is the checkpoint of step {named}, but step {step} is asked for; name one")
    if not run.exists():
        raise CheckpointError(f"{run} has no checkpoint, for there is no such folder; train one, or name another")
    step, found = named if step is None else step, checkpoint_steps(run)
    if not found or (step is not None and step not in found):
        if not found and (run / "config.json").exists():
            raise CheckpointError(
                f"{run} is a Hugging Face model; make it a run first:   flan-jax import-hf {run} runs/{run.name}"
            )
        asked = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise CheckpointError(
            f"{run} has {asked} (there: {', '.join(map(str, found)) or 'none'}); train one, or name another"
        )
    return run / "checkpoints" / str(found[-1] if step is None else step)


def load_params(
    directory: epath.PathLike, step: int | None = None, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Any, dict[str, Any]]:
    """(model configuration, parameters, metadata) of a run's checkpoint, the newest whole one unless another is named.

    The parameters are those of the finished model: adapters merged, a soft prompt in front of whatever is read.
    `directory` is the run's, or one of its `checkpoints/<step>`.  On `mesh`, or on the first device.
    Raises `CheckpointError` if there is none, the one asked for is damaged, or it is on top of one that is gone.
    """
    path = _whole_checkpoint(directory, step)
    model, tuning, trained, metadata = load_trained(path, mesh=mesh)
    base = load_params(find_base(path, metadata), mesh=mesh)[1] if tuning.has_base else {}
    return tuning.decoder(model), tuning.deployed(model, trained, base), metadata


def load_trained(
    directory: epath.PathLike, step: int | None = None, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Everything, Any, dict[str, Any]]:
    """(model configuration, what trained, its parameters alone, metadata), named as for `load_params`."""
    path = _whole_checkpoint(directory, step)
    model, metadata = _saved_model(path)
    tuning = read_tuning(metadata.get("tune"))
    mesh = mesh or partitioning.make_mesh(partitioning.MeshConfig(data=1), jax.devices()[:1])
    shapes = tuning.abstract(model)
    placed = partitioning.placed(shapes, partitioning.shardings(mesh, shapes, tuning.axes(model)))
    return model, tuning, _read(path, params=placed)["params"], metadata


def _whole_checkpoint(directory: epath.PathLike, step: int | None) -> epath.Path:
    """The checkpoint that is meant; in place of the newest, where that is damaged, the one before."""
    directory = epath.Path(directory).resolve()  # Orbax wants absolute paths
    path = exact_checkpoint(directory, step)
    while (damage := damage_of(path)) is not None:
        found = checkpoint_steps(run_and_step(path)[0])
        older = [one for one in found if one < int(path.name)]
        if step is not None or path == directory or not older:
            raise CheckpointError(
                f"checkpoint {path} is damaged ({damage}); delete it, and its training, started again, makes it anew\n"
                f"  or name another one (there: {', '.join(map(str, found))})"
            )
        logger.warning("checkpoint %s is damaged (%s); using the one before", path, damage)
        path = path.parent / str(older[-1])
    return path


def read_model(checkpoint: epath.PathLike) -> tuple[DecoderConfig, dict[str, Any]]:
    """(model configuration, metadata) of a checkpoint, named as for `exact_checkpoint`; its arrays are not read.

    Raises `CheckpointMismatch` if the model has settings that are unknown here, `CheckpointError` if it is not there.
    """
    model, metadata = _saved_model(exact_checkpoint(epath.Path(checkpoint).resolve()))
    return read_tuning(metadata.get("tune")).decoder(model), metadata


def find_base(path: epath.Path, metadata: Mapping[str, Any]) -> epath.Path:
    """The checkpoint whose parameters are those that did not train with the checkpoint `path`.

    Where the two still stand to each other as they did, they may have been moved together.
    Raises `CheckpointError` if it is gone, or another one lies in its place.
    """
    began = metadata["began_from"]
    run, _ = run_and_step(path)
    places = [epath.Path(began["checkpoint"]), epath.Path(os.path.normpath(run / began["from_run"]))]
    there = [place for place in places if place.exists()]
    for place in there:
        if manifest_digest(place) == began["digest"]:
            return place
    found = f"another lies at {there[0]}" if there else f"nothing lies at {places[0]}"
    raise CheckpointError(
        f"checkpoint {path} holds only what was trained ({metadata['tune']['kind']}) on top of another, with digest "
        f"{began['digest'][:12]}, but {found};\n  put that checkpoint back there, or to {places[1]}"
    )


def _saved_model(path: epath.Path) -> tuple[DecoderConfig, dict[str, Any]]:
    """(model configuration, metadata), as they were saved."""
    metadata = read_metadata(path)
    known = {field.name for field in dataclasses.fields(DecoderConfig)}
    if unknown := sorted(set(metadata["model"]) - known):
        raise CheckpointMismatch(f"{path}: model setting {unknown[0]!r} is unknown to this version of flan_jax")
    return DecoderConfig(**metadata["model"]), metadata


def checkpoint_digest(checkpoint: epath.PathLike) -> str:
    """What tells the content of a checkpoint, named as for `exact_checkpoint`, from that of any other.

    Raises `CheckpointError` if it is not there or has lost its manifest.
    """
    path = exact_checkpoint(checkpoint)
    if (digest := manifest_digest(path)) is None:
        raise CheckpointError(f"checkpoint {path} is damaged ({damage_of(path)}); name another one")
    return digest


def read_metadata(path: epath.Path) -> dict[str, Any]:
    return _reader().restore(path, args=_Items(metadata=ocp.args.JsonRestore()))["metadata"]


def check_arrays(
    where: epath.PathLike,
    metadata: Mapping[str, Any],
    wanted: Mapping[str, list[int]],
    instead: str = _ELSEWHERE,
) -> None:
    """Raises `CheckpointMismatch` naming the first array that differs, both shapes and the settings that do.

    `instead` is the setting that names another checkpoint.
    """
    have = metadata["arrays"]
    for name in [*wanted, *have]:
        if have.get(name) == wanted.get(name):
            continue
        shapes = [tuple(shape) if shape is not None else "absent" for shape in (have.get(name), wanted.get(name))]
        setting = "DecoderConfig" if name.startswith("params/") else "OptimizerConfig"
        raise CheckpointMismatch(
            f"{where}: {name} is {shapes[0]} in the checkpoint and {shapes[1]} in this run, whose {setting} differs.\n"
            f"  The checkpoint's model is {metadata.get('model')};\n  use its settings, or {instead}"
        )


def array_shapes(params: Any, optimizer: Any = None) -> dict[str, list[int]]:
    """Shape of every array, by names like params/layers/mlp/up."""
    trees = ({"params": params}, {"optimizer": optimizer})  # in the order in which differences are told
    return {name: list(leaf.shape) for tree in trees for name, leaf in named_leaves(tree, "/").items()}


def named_leaves(tree: Any, separator: str = ".") -> dict[str, Any]:
    """A flat dict in flattening order; names do not depend on which optax classes hold the leaves."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {partitioning.parameter_name(path).replace("/", separator): leaf for path, leaf in leaves}


def package_versions() -> dict[str, str]:
    names = ("flan-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {name: distributions.version(name) for name in names if _installed(name)}
    return {"python": platform.python_version(), **found}


def _installed(name: str) -> bool:
    try:
        return bool(distributions.version(name))
    except distributions.PackageNotFoundError:
        return False


def _reader() -> ocp.Checkpointer:
    return ocp.Checkpointer(_handler())


def _read(path: epath.Path, **items: Any) -> dict[str, Any]:
    args = {
        name: ocp.args.PyTreeRestore(tree, restore_args=ocp.checkpoint_utils.construct_restore_args(tree))
        for name, tree in items.items()
    }
    restored = _reader().restore(path, args=_Items(**args))
    return {name: restored[name] for name in items}


def _scalar(step: int, like: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.jit(lambda: jax.numpy.asarray(step, like.dtype), out_shardings=like.sharding)()


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
