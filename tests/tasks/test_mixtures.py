"""What is registered works from seqio itself."""

import dataclasses
import importlib
import pathlib

import pytest

from flan_jax.data.task import Mixture
from tasks import catalog, mixtures, registry
from tasks.dataset import Dataset, Generated, choice

seqio = importlib.import_module("seqio")

LENGTHS = {"inputs": 96, "targets": 48}


def toy(name: str, cluster: str, size: int, kind: str = "classification") -> Dataset:
    def rows(split: str) -> list[dict]:
        return [{"text": f"{split} text {i}", "label": i % 2} for i in range(size if split == "train" else 12)]

    def fields(x: dict) -> dict:
        return {"text": x["text"], **choice(("yes", "no"), x["label"])} if kind == "classification" else {
            "text": x["text"], "answer": x["text"].upper(), "references": (x["text"].upper(), "or this")
        }  # fmt: skip

    return Dataset(
        name=name,
        cluster=cluster,
        benchmark="toy",
        source=Generated(rows, "1"),
        splits={"train": "train", "test": "test"},
        fields=fields,
        field_names=("text",),
        kind=kind,
        metrics=("accuracy",) if kind == "classification" else ("squad",),
        licence="none",
        citation="none",
        template_group=kind,
    )


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    """Three toy datasets in place of the catalogue's, registered with a byte vocabulary."""
    folder: pathlib.Path = tmp_path_factory.mktemp("templates")
    for kind, options in (("classification", "{options}"), ("generation", "")):
        entries = [f'- {{inputs: "T{i} {{text}} {options}", targets: "{{answer}}"}}\n' for i in range(9)]
        entries += ['- {inputs: "W {answer}", targets: "{text}", turned_around: true}\n']
        (folder / f"{kind}.yaml").write_text("".join(entries))
    datasets = {
        d.name: d
        for d in (toy("toy_a", "nli", 40), toy("toy_b", "sentiment", 5000), toy("toy_c", "misc", 40, "generation"))
    }
    named = {"toy_loo_nli": Mixture("toy_loo_nli", train=("toy_b", "toy_c"), evaluate=("toy_a",))}
    patch = pytest.MonkeyPatch()
    patch.setattr(catalog, "datasets", lambda: datasets)
    patch.setattr(catalog, "forms", dict)
    patch.setattr(catalog, "mixtures", lambda: named)
    make_task = registry.make_task
    patch.setattr(registry, "make_task", lambda dataset, **settings: make_task(dataset, folder, **settings))
    names = mixtures.register(seqio.ByteVocabulary())
    yield names
    patch.undo()


def texts(dataset, count: int) -> list[tuple[str, str]]:
    vocabulary = seqio.ByteVocabulary()
    return [(vocabulary.decode(e["inputs"].tolist()), vocabulary.decode(e["targets"].tolist()))
            for e in dataset.take(count).as_numpy_iterator()]  # fmt: skip


def test_names(registered):
    assert {"toy_a", "toy_b", "toy_c", "toy_loo_nli", "toy_loo_nli_eval", "toy_a_template_0"} <= set(registered)
    assert "toy_a_template_9" not in registered  # it is turned around
    assert len(registered) == 3 + 3 * 9 + 2


def test_registering_reads_no_data(monkeypatch: pytest.MonkeyPatch, registered):
    def unreadable(split: str):
        raise AssertionError("read")

    absent = dataclasses.replace(catalog.datasets()["toy_a"], source=Generated(unreadable, "1"))
    monkeypatch.setitem(catalog.datasets(), "toy_a", absent)
    assert mixtures.register(seqio.ByteVocabulary()) == registered
    monkeypatch.undo()
    mixtures.register(seqio.ByteVocabulary())


def test_training_task_holds_what_the_renderer_gives(registered):
    ours = [
        (row.inputs, row.targets)
        for row in registry.make_task(catalog.datasets()["toy_a"]).render("train", "hashed", 0)
    ]
    assert texts(seqio.get_mixture_or_task("toy_a").get_dataset(LENGTHS, "train", shuffle=False), 100) == ours


def test_mixture_leaves_the_held_out_cluster_out_and_caps_the_rate():
    mixture = seqio.get_mixture_or_task("toy_loo_nli")
    assert {task.name: mixture.get_rate(task) for task in mixture.tasks} == {"toy_b": 3000.0, "toy_c": 40.0}
    assert mixture.num_input_examples("train") == 5040
    drawn = texts(mixture.get_dataset(LENGTHS, "train", shuffle=True, seed=0), 300)
    generated = sum(targets.isupper() or inputs.startswith("W TRAIN") for inputs, targets in drawn)
    assert 0 < generated < 20  # 40 of 3,040


def test_decoder_converter():
    dataset = seqio.get_mixture_or_task("toy_loo_nli").get_dataset(LENGTHS, "train", seed=0)
    batch = next(seqio.DecoderFeatureConverter(pack=True)(dataset, LENGTHS).as_numpy_iterator())
    assert batch["decoder_target_tokens"].shape == (144,)
    assert 0 < batch["decoder_loss_weights"].sum() < (batch["decoder_target_tokens"] != 0).sum()


def test_encoder_decoder_converter():
    dataset = seqio.get_mixture_or_task("toy_loo_nli").get_dataset(LENGTHS, "train", seed=0)
    batch = next(seqio.EncDecFeatureConverter(pack=True)(dataset, LENGTHS).as_numpy_iterator())
    assert batch["encoder_input_tokens"].shape == (96,)
    assert batch["decoder_loss_weights"].sum() == (batch["decoder_target_tokens"] != 0).sum()


def test_evaluator_ranks_options():
    """A scorer that prefers the right option gets 100, one that prefers the first gets the share of its label."""
    name = "toy_a_template_4"
    task = seqio.get_mixture_or_task(name)
    (metric,) = task.metric_fns
    examples = list(task.get_dataset(None, "test", shuffle=False).as_numpy_iterator())
    seen = [task.postprocess_fn("", example=e, is_target=True) for e in examples]
    assert len(seen) == 24
    assert metric(seen, [float(e["option"] == e["answer"]) for e in examples]) == {"accuracy": 100.0}
    assert metric(seen, [0.0] * 24) == {"accuracy": 50.0}


def test_evaluator_compares_text_with_every_reference():
    evaluator = seqio.Evaluator(
        "toy_c_template_1",
        feature_converter=seqio.EncDecFeatureConverter(pack=False),
        eval_split="test",
        sequence_length=LENGTHS,
    )
    vocabulary = seqio.ByteVocabulary()

    def predict(dataset, *args, **kwargs):
        return [(i, vocabulary.encode("or this" if i % 2 else "wrong !")) for i, _ in enumerate(dataset)]

    metrics, _ = evaluator.evaluate(compute_metrics=True, predict_fn=predict, score_fn=None, step=None)
    scores = {
        name: value.value if hasattr(value, "value") else value
        for name, value in metrics.result()["toy_c_template_1"].items()
    }
    assert scores["squad_em"] == 50.0


def test_registering_again_replaces(registered):
    assert mixtures.register(seqio.ByteVocabulary(), inputs_eos=True) == registered
    assert seqio.get_mixture_or_task("toy_a").output_features["inputs"].add_eos
    assert mixtures.register(seqio.ByteVocabulary()) == registered


def test_somebody_elses_task_of_the_same_name_is_not_replaced(registered):
    mixtures.register(seqio.ByteVocabulary(), benchmarks=["none"])
    source = seqio.FunctionDataSource(lambda split, shuffle_files: None, ["train"])
    seqio.TaskRegistry.add("toy_a", source=source, output_features={}, preprocessors=[])
    with pytest.raises(ValueError, match="toy_a"):
        mixtures.register(seqio.ByteVocabulary())
    seqio.TaskRegistry.remove("toy_a")
    assert mixtures.register(seqio.ByteVocabulary()) == registered


def test_documents_have_empty_inputs(registered):
    documents = dataclasses.replace(
        toy("toy_d", "documents", 5), kind="documents", fields=lambda x: {"text": x["text"]}
    )
    catalog.datasets()["toy_d"] = documents
    mixtures.register(seqio.ByteVocabulary())
    assert texts(seqio.get_mixture_or_task("toy_d").get_dataset(LENGTHS, "train", shuffle=False), 1) == [
        ("", "train text 0")
    ]
    del catalog.datasets()["toy_d"]
    mixtures.register(seqio.ByteVocabulary())


def test_what_is_not_a_vocabulary_of_seqio_is_refused_at_once():
    with pytest.raises(mixtures.RegistrationError, match=r"'/store/vocabulary' is a str, not a seqio.Vocabulary"):
        mixtures.register("/store/vocabulary")
