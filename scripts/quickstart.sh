#!/usr/bin/env bash
# From a fresh clone to a result: environment, data, a base model, the same model tuned without natural language inference,
# both scored on it, and a report.  Run again, it continues where it stopped; finished parts are not done anew.
#   scripts/quickstart.sh [--gin.NAME=VALUE ...]
#   SEED=1 OUTPUT=/tmp/quickstart scripts/quickstart.sh --gin.TUNE_STEPS=500
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${OUTPUT:-quickstart_run}
seed=${SEED:-0}

scripts/environment.sh
PATH="$PWD/.venv/bin:$PATH"
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}
# Freed memory is kept for the next step, which XLA's CPU backend would else have the kernel map and clear anew (LOG.md).
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184}

flan-jax sweep --gin_file=runs/quickstart.gin --gin.SWEEP_DIR="'$output'" --gin.SEEDS="($seed,)" "$@"
echo "report: $(flan-jax report "$output")"
