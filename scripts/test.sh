#!/usr/bin/env bash
# The environment, then every test.  Arguments go to pytest:  scripts/test.sh tests/data -k packing
#   WORKERS=1 scripts/test.sh      processes to test with (default: the cores, at most 2; each may take 5 GB)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/environment.sh test
cores=$(nproc 2>/dev/null || echo 1)
workers=${WORKERS:-$((cores < 2 ? cores : 2))}
exec .venv/bin/python -m pytest -n "$workers" --dist loadfile "$@"
