"""A run is tuned on zero- and few-shot prompts and asked with exemplars, by the commands and settings people use."""

import json

import pytest

from flan_jax.cli import main
from flan_jax.evaluation.results import read_results


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    """The folder of a store and of a run tuned on no or two exemplars a document."""
    root = tmp_path_factory.mktemp("few_shot")
    store = f"'{root}/store'"
    assert main(["prepare", *tiny("runs/prepare.gin", STORE=store, MIXTURE="'microworld'")]) == 0
    tuned = tiny(
        "runs/tune_leave_one_out.gin", STORE=store, MODEL_DIR=f"'{root}/run'", INITIAL_CHECKPOINT="None",
        HELD_OUT="'nli'", SHOTS="(0, 2)", ROW_LENGTH="400", TOKENS_PER_BATCH="800",
    )  # fmt: skip
    model = ["--gin_file=models/microworld.gin", "--gin.train.model=@DecoderConfig()"]
    assert main(["train", *model, *tuned, "--gin.FewShot.separator='##'"]) == 0
    return root


def evaluate(run, tiny, capsys, shots: str, *more: str) -> tuple[int, str]:
    flags = tiny(
        "runs/evaluate.gin", STORE=f"'{run}/store'", CHECKPOINT=f"'{run}/run'", MIXTURE="'small_nli'", SHOTS=shots
    )
    status = main(["evaluate", *flags, *more])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_a_mixture_of_zero_and_few_shot_prompts_is_trained_on(run):
    (plan,) = (run / "store" / "plans").glob("*/plan.json")
    noted = json.loads(plan.read_text())
    assert noted["request"]["config"]["shots"] == [0, 2]
    assert noted["request"]["config"]["few_shot"]["separator"] == "##"
    assert all(0 < task["exemplars"] < 2 * task["documents"] for task in noted["tasks"])


def test_results_of_few_shot_questions_stand_beside_the_zero_shot_ones(run, tiny, capsys):
    for shots, name in (("0", "4-small_nli-test-????????"), ("3", "4-small_nli-test-3-shot-????????")):
        status, said = evaluate(run, tiny, capsys, shots)
        (folder,) = (run / "run" / "evaluations").glob(name)
        assert status == 0 and str(folder) in said
        rows = read_results(folder).rows.to_pylist()
        assert {len(row["exemplars"]) for row in rows} == {int(shots)}
        assert ("exemplars before each question: 3\n" in said) == (shots == "3")


def test_what_cannot_be_shown_is_refused_with_the_way_out(run, tiny, capsys):
    status, said = evaluate(run, tiny, capsys, "'paper'")
    assert status != 0 and "small_nli has no number of exemplars in the paper" in said
    status, said = evaluate(run, tiny, capsys, "'paper'", "--gin.evaluate.allow_zero_shot=True")
    assert status == 0
    status, said = evaluate(run, tiny, capsys, "(0, 5)")
    assert status != 0 and "evaluate.shots = (0, 5): should be " in said and "'paper'" in said
