"""Each step is logged once, whatever was killed."""

import builtins
import json

import pytest

from flan_jax.training.metrics_log import METRICS_FILE, LogError, MetricsLog, read_metrics


def test_a_resumed_log_has_each_step_once(tmp_path):
    log = MetricsLog(tmp_path)
    for step in range(1, 6):
        log.write(step, {"loss": 1 / step})
    log.close()
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 6, "lo')  # killed while writing
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    log = MetricsLog(tmp_path, resumed_at=3)
    for step in range(4, 7):
        log.write(step, {"loss": 1 / step})
    log.close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_lines_are_json_though_a_loss_is_not_a_number(tmp_path):
    log = MetricsLog(tmp_path, tensorboard=False)
    log.write(1, {"loss": float("nan")})
    log.close()
    assert json.loads((tmp_path / METRICS_FILE).read_text(), parse_constant=pytest.fail) == {"step": 1, "loss": None}


def test_other_processes_write_nothing(tmp_path):
    log = MetricsLog(tmp_path / "run", enabled=False)
    log.write(1, {"loss": 1.0})
    log.close()
    assert not (tmp_path / "run").exists()


def test_wandb_asked_for_and_missing_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_wandb(name, *args, **kwargs):
        if name == "wandb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_wandb)
    with pytest.raises(LogError, match=r"pip install 'flan-jax\[wandb\]'"):
        MetricsLog(tmp_path, wandb_project="flan")
