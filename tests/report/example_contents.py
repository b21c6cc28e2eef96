"""Made-up report contents, for tests and for looking at the page."""

import math

from flan_jax.report.contents import (
    KINDS,
    ClusterResult,
    Contents,
    Curve,
    DatasetResult,
    Estimate,
    Gain,
    MixtureShares,
    Option,
    Prompt,
    Share,
)

HOSTILE = "<script>alert('x')</script> & \"quoted\""
CLUSTERS = (
    "nli", "reading_comprehension", "commonsense", "sentiment", "paraphrase", "closed_book_qa", "struct_to_text",
    "coreference", "summarization", "translation", "reading_comprehension_with_commonsense", "misc",
)  # fmt: skip


def estimate(mean: float, half: float, seeds: int, left_out: int = 0) -> Estimate:
    each = tuple(mean + seed - (seeds - 1) / 2 for seed in range(seeds))
    return Estimate(mean, mean - half, mean + half, each, left_out)


def gain(mean: float, half: float, seeds: int, left_out: int = 0) -> Gain:
    like = estimate(mean, half, seeds, left_out)
    return Gain(like.value, like.low, like.high, like.each, left_out, p=0.004, p_holm=0.048, detectable=1.43 * half)


def example_contents(clusters: tuple[str, ...] = CLUSTERS, seeds: int = 3) -> Contents:
    """A page's worth of figures; texts from data hold HTML that must not become markup."""
    results, prompts = [], {}
    for index, cluster in enumerate(clusters):
        base, tuned, upper = 33.0 + 2 * index, 45.0 + 3 * index - 5 * (index % 4), 60.0 + 2.5 * index
        means = {"base": base, "tuned": tuned, "upper": upper}
        scores = {kind: estimate(means[kind], 3, seeds) for kind in KINDS}
        gains = {kind: gain(means[kind] - base, 4, seeds - index % 2, index % 2) for kind in KINDS[1:]}
        tasks = tuple(
            DatasetResult(f"microworld_{cluster}_{name}", "accuracy", 200, 10, scores, dict.fromkeys(KINDS, 2.5), 50.0)
            for name in ("plain", "hard")
        )
        results.append(ClusterResult(cluster, scores, gains, tasks, None if index % 3 else 42.5))
        options = tuple(
            Option(f" {text}", text == "yes", {"base": -1.0 - i, "tuned": -0.5 - i, "upper": -0.2 - i})
            for i, text in enumerate(("yes", "it is not possible to tell", "no"))
        )
        wrote = {"base": "Mira", "tuned": HOSTILE}
        story = f"Mira went to the harbour before {HOSTILE}. She gave the red lantern to Tomo.\n\nDoes Tomo have it?"
        prompts[cluster] = tuple(
            Prompt(tasks[0].task, i, f"world-{i}", story, options * (i % 2), (" yes",), {} if i % 2 else wrote)
            for i in range(5)
        )  # fmt: skip
    steps = tuple(range(10, 3000, 10))
    losses = tuple(4 * math.exp(-step / 600) + 1 + 0.1 * math.sin(step) for step in steps)
    curves = tuple(
        Curve(f"{kind}-{run}", kind, steps, losses)
        for kind in KINDS for run in range(seeds)
    )  # fmt: skip
    shares = tuple(Share(f"microworld_task_{i}", 1 / 22, (i + 1) / 253) for i in range(22))
    facts = (
        ("commit", "0123abc"),
        ("packages", "jax 0.10.2, flax 0.12.8"),
        ("wall time", "9 min 12 s"),
        ("place", HOSTILE),
    )
    mixtures = (MixtureShares("tuned-nli-seed0", "microworld_loo_nli", shares),)
    operative = f"STEPS = 20\n# {HOSTILE}\n" * 10
    return Contents("Microworld: leave one cluster out", tuple(results), curves, mixtures, prompts, facts, operative)
