"""Six real datasets go the whole way by the commands of the suite: prepared, trained on, evaluated."""

import json

from flan_jax.cli import main
from flan_jax.evaluation.results import read_results

SIX = {
    "rte": "super_glue/rte", "sst2": "glue/sst2", "squad_v1": "squad", "natural_questions": "natural_questions_open",
    "e2e_nlg": "gem/e2e_nlg", "wmt16_translate_roen": "wmt16_translate",
}  # fmt: skip
SMALL = [
    "--gin.DecoderConfig.num_layers=1", "--gin.DecoderConfig.embed_dim=16", "--gin.DecoderConfig.num_heads=2",
    "--gin.DecoderConfig.num_kv_heads=1", "--gin.DecoderConfig.mlp_dim=32", "--gin.DecoderConfig.vocab_size=1024",
]  # fmt: skip


def test_six_datasets_are_prepared_trained_on_and_evaluated(data_dir, tmp_path, monkeypatch, capsys):
    """The other sixty-four of FLAN 2021 are not there, and are gone without."""
    for folder in SIX.values():
        (tmp_path / "tfds" / folder).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tfds" / folder).symlink_to(f"{data_dir}/{folder}")
    monkeypatch.setenv("TFDS_DATA_DIR", f"{tmp_path}/tfds")
    store, run, out = f"--gin.STORE='{tmp_path}/store'", tmp_path / "run", tmp_path / "out"
    vocabulary = "--gin.VOCABULARY='sentencepiece:1000'"
    prepared = ["--gin.MIXTURE='flan2021'", vocabulary, store, "--gin.EVAL_EXAMPLES=3", "--gin.PROCESSES=1"]
    assert main(["prepare", *prepared]) == 2
    assert "anli/r1:0.1.0 is not in" in capsys.readouterr().err
    assert main(["prepare", *prepared, "--gin.prepare.unavailable='skip'"]) == 0
    made = capsys.readouterr().out
    assert all(name in made for name in SIX)

    flags = [store, vocabulary, "--gin.STEPS=3", "--gin.TOKENS_PER_BATCH=2560", f"--gin.MODEL_DIR='{run}'"]
    flags += ["--gin.train.mixture='flan2021'", "--gin.train.log_every=1"]
    flags += ["--gin.UNAVAILABLE='skip'"]
    flags += ["--gin.INITIAL_CHECKPOINT=None", "--gin.train.model=@DecoderConfig()", *SMALL]
    files = ["--gin_file=runs/tune_leave_one_out.gin", "--gin_file=mixtures/flan2021.gin"]
    assert main(["train", *files, *flags]) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]

    scored = [f"--gin.CHECKPOINT='{run}'", "--gin.MIXTURE='flan2021'", store, f"--gin.OUTPUT='{out}'"]
    scored += ["--gin.EXAMPLES=2", "--gin.evaluate.selection_examples=1", "--gin.evaluate.max_new_tokens=4"]
    scored += ["--gin.UNAVAILABLE='skip'"]
    assert main(["evaluate", *scored]) == 0
    summary = read_results(out).summary
    assert {task.task for task in summary.tasks} == {*SIX}
