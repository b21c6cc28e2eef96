"""The model class for lm-evaluation-harness: its command, its settings, and what cannot be followed."""

import dataclasses
import json
import os

import numpy as np
import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
pytest.importorskip("lm_eval", reason="left out: lm-evaluation-harness is not installed (the extra `test` has it)")

from lm_eval.api.instance import Instance

from flan_jax.cli import main
from flan_jax.data.vocabulary import VocabularyError
from flan_jax.evaluation.harness.model import FlanJaxLM, HarnessError
from flan_jax.evaluation.text_requests import TextRequestError
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.test_requests import Beginning

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=64)
TASK = """\
task: small
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["yes", "no"]
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module")
def params():
    return build_decoder(MODEL, 0)[1]


def asked(*arguments):
    return [Instance(request_type="loglikelihood", doc={}, arguments=one, idx=0) for one in arguments]


def test_the_harness_s_command_runs_on_a_checkpoint(finished_sweep, tmp_path, monkeypatch, capsys):
    """From the folder of a run to the harness's own table and results file."""
    run = sorted(finished_sweep.glob("**/checkpoints"))[0].parent
    rows = [{"question": f"Is it {i}?", "answer": i % 2} for i in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "small.yaml").write_text(TASK.format(data=tmp_path / "rows.jsonl"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    status = main([
        "lm-eval", "run", "--model", "flan_jax", "--model_args", f"checkpoint={run},row_width=64", "--tasks", "small",
        "--include_path", str(tmp_path), "--output_path", str(tmp_path / "out"),
    ])  # fmt: skip
    assert status == 0 and "|small|" in capsys.readouterr().out
    (written,) = (tmp_path / "out").glob("**/results_*.json")
    assert 0 <= json.loads(written.read_text())["results"]["small"]["acc,none"] <= 1


def test_a_checkpoint_without_its_vocabulary_is_named(finished_sweep, tmp_path):
    run = sorted(finished_sweep.glob("**/checkpoints"))[0].parent
    (tmp_path / "model.json").write_bytes((run / "model.json").read_bytes())
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    with pytest.raises(VocabularyError, match=rf"{tmp_path}/vocabulary"):
        FlanJaxLM(str(tmp_path))


def test_options_of_a_question_too_long_see_one_context_and_their_bos(params):
    """With the cut of this project; the harness cuts option by option, the BOS with the rest."""
    requests = asked(("x" * 80 + "?", " yes"), ("x" * 80 + "?", " certainly"))
    own = FlanJaxLM.of(MODEL, params, Beginning(), cut="common_prefix").loglikelihood(requests, True)
    its = FlanJaxLM.of(MODEL, params, Beginning()).loglikelihood(requests, True)
    whole = asked(("x" * 53 + "?", " yes"), ("x" * 53 + "?", " certainly"))
    fits = FlanJaxLM.of(MODEL, params, Beginning()).loglikelihood(whole, True)
    np.testing.assert_allclose([nats for nats, _ in own], [nats for nats, _ in fits], atol=2e-4)
    assert abs(own[0][0] - its[0][0]) > 1e-4


def test_what_cannot_be_followed_is_named(params):
    with pytest.raises(HarnessError, match="cut='apart' should be one of common_prefix, harness"):
        FlanJaxLM.of(MODEL, params, Beginning(), cut="apart")
    with pytest.raises(HarnessError, match="259 tokens and the model 100"):
        FlanJaxLM.of(dataclasses.replace(MODEL, vocab_size=100), params, Beginning())
    model = FlanJaxLM.of(MODEL, params, Beginning())
    with pytest.raises(TextRequestError, match="continuation behind 'Is it' is empty"):
        model.loglikelihood(asked(("Is it", "")), True)
    with pytest.raises(TextRequestError, match="70 tokens leaves no room"):
        model.loglikelihood(asked(("Is it", "x" * 70)), True)
    with pytest.raises(HarnessError, match="64 tokens to generate leave no room"):
        model.generate_until(asked(("Is it", {"max_gen_toks": 64})), True)


@pytest.mark.parametrize(
    ("name", "value", "neutral"),
    [("num_beams", 4, 1), ("top_k", 5, 0), ("repetition_penalty", 1.3, 1.0), ("min_p", 0.1, 0.0), ("seed", 3, None)],
)
def test_generation_settings_that_are_not_followed_are_refused_unless_they_do_nothing(params, name, value, neutral):
    model = FlanJaxLM.of(MODEL, params, Beginning(), max_gen_toks=5)
    with pytest.raises(HarnessError, match=rf"{name}={value}, of a task or --gen_kwargs, is not followed here"):
        model.generate_until(asked(("Is it?", {"do_sample": False, name: value})), True)
    plain, same = model.generate_until(asked(("Is it?", {}), ("Is it?", {name: neutral})), True)
    assert plain == same


def test_prompts_too_long_to_generate_from_are_told(params, caplog):
    model = FlanJaxLM.of(MODEL, params, Beginning(), max_gen_toks=5)
    model.generate_until(asked(("x" * 58, {})), True)  # with the BOS and the answer, what the model takes
    assert not caplog.records
    model.generate_until(asked(("x" * 59, {}), ("x", {})), True)
    assert "1 of 2 requests: too long for the model's window, and cut on the left" in caplog.text


def test_generation_settings_of_tasks_are_followed(params):
    """Stop strings, lengths by any of their names, sampling that depends on neither batch nor order."""
    model = FlanJaxLM.of(MODEL, params, Beginning(), max_gen_toks=5)
    settings = [{"until": []}, {"max_new_tokens": 3}, {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8}]
    whole, short, drawn = model.generate_until(asked(*(("Is it?", one) for one in settings)), True)
    assert len(whole.encode(errors="replace")) >= len(short.encode(errors="replace")) and whole.startswith(short[:1])
    assert drawn != whole
    cut = model.generate_until(asked(("Is it?", {"until": [whole[1:2]]})), True)[0]
    assert cut == whole.split(whole[1:2])[0]
