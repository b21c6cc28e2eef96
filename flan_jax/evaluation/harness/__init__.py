"""lm-evaluation-harness (Gao et al., github.com/EleutherAI/lm-evaluation-harness) on the checkpoints of this project.

    flan-jax lm-eval run --model flan_jax --model_args checkpoint=runs/base --tasks hellaswag,arc_easy

takes the arguments of `lm-eval` and hands them on; that command itself knows no models but its own.  In Python,
importing `flan_jax.evaluation.harness.model` registers the model under that name.
"""
