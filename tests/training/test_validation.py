"""What a run is validated on, and that the way out of what it refuses is one."""

import dataclasses
import json
import re
import shlex

import pytest
import small_world

from flan_jax.cli import main
from flan_jax.data.mixing import Rates
from flan_jax.data.store import Store
from flan_jax.training.metrics_log import read_metrics
from flan_jax.training.trainer import TrainConfig, TrainError, make_plan, train
from tests.training.conftest import MODEL

LEFT_OUT = "microworld_loo_nli"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A run that leaves a cluster out, over a store that was prepared for its mixture alone, as people do."""
    config = TrainConfig(
        mixture=LEFT_OUT, store=str(tmp_path / "store"), vocabulary="sentencepiece:310", tasks="small_world",
        model_dir=str(tmp_path / "run"), model=MODEL, steps=2, tokens_per_batch=256, row_length=128,
        targets_length=64, tensorboard=False, log_every=1, validation_every=1, validation_batches=1,
    )  # fmt: skip
    flags = {"MIXTURE": LEFT_OUT, "STORE": config.store, "TASKS": config.tasks, "VOCABULARY": config.vocabulary}
    prepare_by(*(f"--gin.{name}='{value}'" for name, value in flags.items()))
    return config


def digests(config):
    paths = Store(config.store).root.glob("vocabularies/*/vocabulary.json")
    return {json.loads(path.read_text())["digest"] for path in paths}


def prepare_by(*flags):
    assert main(["prepare", *flags, "--gin.PROCESSES=1"]) == 0


def test_following_the_advice_makes_a_leave_one_out_run_validate(config):
    """As it is said, once: `prepare` of the mixture itself, as it was said before, made nothing new for ever."""
    with pytest.raises(
        TrainError, match=r"not prepared of small_sentiment, small_translation, which microworld_loo"
    ) as no:
        train(config)
    (command,) = re.findall(r"^ +flan-jax prepare (.*)$", str(no.value), re.M)
    vocabularies = digests(config)
    prepare_by(*shlex.split(command))
    assert digests(config) == vocabularies, "another vocabulary was trained"
    train(config)
    assert read_metrics(config.model_dir)[-1]["validation_loss"] > 0


def test_the_other_way_out_works_too(config):
    with pytest.raises(TrainError, match=r"--gin\.train\.validation_every=0$"):
        train(config)
    assert train(dataclasses.replace(config, validation_every=0))["step"] == 2


def test_tasks_without_a_validation_split_are_left_out_and_named(config, monkeypatch, capsys):
    """Also of explicit rates, which must name what is trained on."""
    prepare_by(
        "--gin.MIXTURE='small_sentiment'", f"--gin.STORE='{config.store}'", "--gin.TASKS='small_world'",
        f"--gin.VOCABULARY='{next(Store(config.store).root.glob('vocabularies/*'))}'",
    )  # fmt: skip
    real = small_world.get_task
    unvalidated = {"small_translation"}

    def get_task(name):
        return dataclasses.replace(real(name), splits=("train", "test")) if name in unvalidated else real(name)

    monkeypatch.setattr(small_world, "get_task", get_task)
    rates = Rates(kind="explicit", explicit={"small_sentiment": 1, "small_translation": 3})
    config = dataclasses.replace(config, rates=rates)
    store = Store(config.store)
    vocabulary = store.find_vocabulary(config.vocabulary)
    assert [task.task for task in make_plan(config, store, vocabulary, "validation", 1).tasks] == ["small_sentiment"]
    assert "not validated on small_translation" in capsys.readouterr().err
    assert len(make_plan(config, store, vocabulary).tasks) == 2
    unvalidated.add("small_sentiment")
    with pytest.raises(TrainError, match=r"validation_every=1: no task that .* --gin\.train\.validation_every=0"):
        make_plan(config, store, vocabulary, "validation", 1)
