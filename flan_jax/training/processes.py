"""Several processes, on one host or many, that work on the same arrays."""

import jax


def join_processes(coordinator: str | None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Join the other processes, if any; before anything touches a device.

    coordinator: "host:port" of process 0, with num_processes and process_id, or "auto" on TPU pods, Slurm and the like;
    None for a process alone.
    """
    if coordinator is None or jax.distributed.is_initialized():
        return
    if coordinator == "auto":
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(coordinator, num_processes, process_id)
