"""How soon the command line answers: `flan-jax --help` and `import flan_jax`, beside an empty Python.

    python scripts/benchmarks/startup.py [--rounds 15]

Each round starts the three as processes of their own, in turn, so that they meet the same machine; medians count, with
processor seconds (of all threads) beside them.  Exit status 1 if one of them loads TensorFlow or JAX.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np
from measured import print_setting

ASKED = 0.5  # seconds for --help
HEAVY = ("tensorflow", "jax")

HELP = "import flan_jax.cli\ntry: flan_jax.cli.main(['--help'])\nexcept SystemExit: pass\n"
PROGRAMS = {"empty Python": "pass", "import flan_jax": "import flan_jax", "flan-jax --help": HELP}


def command(name: str) -> list[str]:
    """What is timed: for the help the installed program, as a user starts it."""
    program = pathlib.Path(sys.executable).parent / "flan-jax"
    return [str(program), "--help"] if name == "flan-jax --help" else [sys.executable, "-c", PROGRAMS[name]]


def timed(argv: list[str]) -> tuple[float, float]:
    """Wall seconds, and processor seconds of the process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def loaded(name: str) -> list[str]:
    """Which of HEAVY the program has imported when it is done."""
    code = f"{PROGRAMS[name]}\nimport sys\nprint('loaded', *(m for m in {HEAVY!r} if m in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()[-1].split()[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print_setting(vars(arguments), packages=("flan-jax", "jax", "tensorflow"))

    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for turn in range(arguments.rounds + 1):
        for name in PROGRAMS:
            spent = timed(command(name))
            if turn > 0:  # the first reads the files from disk and writes the byte code
                seconds[name].append(spent)
    print(f"\n{'':18}{'seconds':>9}{'fastest':>9}{'slowest':>9}{'processor':>11}  loads")
    heavy = {name: loaded(name) for name in PROGRAMS}
    for name, spent in seconds.items():
        wall, processor = np.array(spent).T
        what = ", ".join(heavy[name]) or "neither TensorFlow nor JAX"
        print(f"{name:18}{np.median(wall):9.3f}{wall.min():9.3f}{wall.max():9.3f}{np.median(processor):11.3f}  {what}")
    print(f"asked of --help: {ASKED} seconds")
    return int(any(heavy.values()))


if __name__ == "__main__":
    sys.exit(main())
