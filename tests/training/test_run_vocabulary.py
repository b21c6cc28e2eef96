"""Commands that only ask a checkpoint: with the vocabulary it was trained with, by attention that runs anywhere."""

import dataclasses
import shutil

import pytest

from flan_jax.cli import main
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.interop.export_command import ExportConfig, export_adapter
from flan_jax.interop.import_command import write_run
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from flan_jax.serving.server import ServeConfig, serve
from flan_jax.training.checkpoints import CheckpointMismatch, load_params
from flan_jax.training.run_vocabulary import load_to_ask

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=32)


class Other(ByteVocabulary):
    """What a run was trained with, before bytes were put in its place."""

    def __init__(self):
        super().__init__()
        self.digest = "f" * 64


def make_run(folder, vocabulary) -> str:
    folder.mkdir()
    trained = dataclasses.replace(MODEL, attention="splash")
    write_run(folder, trained, vocabulary, build_decoder(MODEL, 0)[1], {})
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    return make_run(tmp_path_factory.mktemp("trained") / "splash", ByteVocabulary())


@pytest.fixture(scope="module")
def mismatched(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("trained") / "mismatched"
    run = make_run(folder, Other())
    shutil.rmtree(folder / "vocabulary")
    ByteVocabulary().save(folder / "vocabulary")
    return run


def test_generate_runs_what_was_trained_with_a_kernel_of_another_machine(run, capsys):
    assert load_params(run)[0].attention == "splash"
    assert main(["generate", f"--model_dir={run}", "--prompt=a", "--max_tokens=3"]) == 0
    assert main(["generate", f"--model_dir={run}", "--prompt=a", "--option=b", "--option=c"]) == 0
    assert "%" in capsys.readouterr().out


def test_serve_runs_it(run, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn", reason="left out: uvicorn is not installed (the extra `test` has it)")
    from starlette.testclient import TestClient

    said = []

    def ask(self, sockets):
        said.append(TestClient(self.config.app).post("/v1/completions", json={"prompt": "a", "max_tokens": 3}))

    monkeypatch.setattr(uvicorn.Server, "run", ask)
    serve(ServeConfig(model_dir=run, port=0, rows=1))
    assert said[0].status_code == 200, said[0].text


def test_the_harness_runs_it(run):
    pytest.importorskip("lm_eval", reason="left out: lm-evaluation-harness is not installed (the extra `test` has it)")
    from lm_eval.api.instance import Instance

    from flan_jax.evaluation.harness.model import FlanJaxLM

    asked = [Instance(request_type="loglikelihood", doc={}, arguments=("a", " b"), idx=0)]
    ((nats, _),) = FlanJaxLM(run, row_width=32).loglikelihood(asked, True)
    assert nats < 0


@pytest.mark.parametrize("place", ["", "/checkpoints/0"])
def test_another_vocabulary_than_the_checkpoint_s_is_named(mismatched, place):
    own = ByteVocabulary().digest[:12]
    with pytest.raises(CheckpointMismatch, match=f"mismatched/vocabulary is {own}, .* reads vocabulary ffffffffffff"):
        load_to_ask(mismatched + place)


def test_every_command_that_reads_it_refuses(mismatched, tmp_path, capsys):
    for arguments in (
        ["generate", f"--model_dir={mismatched}", "--prompt=a"],
        ["serve", f"--model_dir={mismatched}", "--port=0"],
        ["export-hf", mismatched, str(tmp_path / "out")],
    ):
        assert main(arguments) == 2, arguments
        assert "mismatched/vocabulary is" in capsys.readouterr().err
    with pytest.raises(CheckpointMismatch):
        export_adapter(ExportConfig(run=mismatched, directory=str(tmp_path / "out"), adapter=True))


def test_the_harness_refuses(mismatched):
    pytest.importorskip("lm_eval", reason="left out: lm-evaluation-harness is not installed (the extra `test` has it)")
    from flan_jax.evaluation.harness.model import FlanJaxLM

    with pytest.raises(CheckpointMismatch):
        FlanJaxLM(mismatched)
