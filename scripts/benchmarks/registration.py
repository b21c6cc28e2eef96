"""How long it takes to import `tasks`, to look up every task and mixture, and to register them all with seqio.

    python scripts/benchmarks/registration.py [--rounds 5]

Each is timed in a process of its own, and again and again, in turn; medians count.  Importing seqio, which is not ours,
is told apart from registering.  Exit status 1 if anything but seqio's part loads TensorFlow.
"""

import argparse
import pathlib
import subprocess
import sys

import numpy as np
from measured import print_setting

ROOT = pathlib.Path(__file__).parents[2]
ASKED = {"import tasks": 1.5, "register with seqio": 10.0}  # seconds

TIMED = """
import sys, time
{before}
wall, processor = time.perf_counter(), time.process_time()
{code}
print("timed", time.perf_counter() - wall, time.process_time() - processor, "tensorflow" in sys.modules)
"""
CATALOG = "from tasks import catalog\n"
PROGRAMS = {
    "import tasks": ("", "import tasks"),
    "every mixture": ("import tasks", f"{CATALOG}[tasks.get_mixture(name) for name in catalog.mixtures()]"),
    "every task and form": (
        "import tasks",
        f"{CATALOG}[tasks.get_task(name) for name in (*catalog.datasets(), *catalog.forms())]",
    ),
    "import seqio": ("", "import seqio"),
    "register with seqio": (
        "import seqio\nfrom tasks import mixtures",
        "names = mixtures.register(seqio.ByteVocabulary())\nprint(len(names), 'names')",
    ),
}


def timed(before: str, code: str) -> tuple[float, float, bool]:
    """Wall seconds, processor seconds, and whether TensorFlow was there at the end."""
    program = TIMED.format(before=before, code=code)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    wall, processor, heavy = ran.stdout.splitlines()[-1].split()[1:]
    return float(wall), float(processor), heavy == "True"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print_setting(vars(arguments), packages=("flan-jax", "seqio", "tensorflow"))

    seconds: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in PROGRAMS}
    for turn in range(arguments.rounds + 1):
        for name, (before, code) in PROGRAMS.items():
            measured = timed(before, code)
            if turn > 0:  # the first writes the byte code
                seconds[name].append(measured)
    print(f"\n{'':22}{'seconds':>9}{'fastest':>9}{'slowest':>9}{'processor':>11}{'asked':>8}  TensorFlow")
    loads = False
    for name, measured in seconds.items():
        wall, processor, heavy = np.array(measured).T
        asked = f"{ASKED[name]:8.1f}" if name in ASKED else " " * 8
        print(f"{name:22}{np.median(wall):9.2f}{wall.min():9.2f}{wall.max():9.2f}{np.median(processor):11.2f}{asked}  "
              f"{'loaded' if heavy.any() else 'not loaded'}")  # fmt: skip
        loads |= bool(heavy.any()) and "seqio" not in name
    return int(loads)


if __name__ == "__main__":
    sys.exit(main())
