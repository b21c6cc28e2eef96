"""`python -m flan_jax.evaluation.harness ARGUMENTS`: lm-evaluation-harness's command, with `--model flan_jax`."""

import sys
from collections.abc import Sequence

from flan_jax.errors import FlanJaxError


def main(arguments: Sequence[str]) -> int:
    """Run `lm-eval` with these arguments.  Raises FlanJaxError where it is not installed."""
    try:
        from lm_eval.__main__ import cli_evaluate
    except ImportError as error:
        raise FlanJaxError(f"lm-evaluation-harness is not installed ({error}); pip install -e .[harness]") from error
    import flan_jax.evaluation.harness.model  # noqa: F401 - registers the model

    before = sys.argv
    sys.argv = ["lm-eval", *arguments]
    try:
        cli_evaluate()
    finally:
        sys.argv = before
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
