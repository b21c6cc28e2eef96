"""From a real, tiny sweep's files to the page."""

import pytest

from flan_jax.report import write_report
from flan_jax.report.gather import ReportError, gather


def test_the_page_has_what_the_sweep_wrote(finished_sweep, tmp_path):
    contents = gather(finished_sweep)
    assert [cluster.cluster for cluster in contents.clusters] == ["nli"]
    assert {curve.run: curve.steps for curve in contents.curves} == dict.fromkeys(
        ("base-seed0", "tuned-nli-seed0", "upper-seed0"), (1, 2, 3, 4)
    )
    mixtures = {mixture.mixture: mixture for mixture in contents.mixtures}
    assert contents.mixtures[0].mixture != "microworld_documents", "tuning mixtures come first"
    assert {share.task for share in mixtures["microworld_loo_nli"].shares} == {"small_sentiment", "small_translation"}
    assert sum(share.examples for share in mixtures["microworld"].shares) == pytest.approx(1.0)
    facts = dict(contents.facts)
    assert facts["steps"] == "base 4, tuned 4, upper 4" and "jax" in facts["versions"]

    prompts = contents.prompts["nli"]
    assert len(prompts) == 5 and len({(p.example_id, p.template) for p in prompts}) == 5
    for prompt in prompts:
        assert [option.text for option in prompt.options] == [" yes", " no"]
        assert sum(option.right for option in prompt.options) == 1
        assert all(set(option.scores) == {"base", "tuned", "upper"} for option in prompt.options)

    path = write_report(finished_sweep, tmp_path / "page.html")
    assert path.read_text().startswith("<!doctype html>")


def test_a_directory_without_results_is_refused(tmp_path):
    with pytest.raises(ReportError, match="flan-jax sweep"):
        gather(tmp_path)


def test_a_folder_without_results_is_told_what_it_lacks(tmp_path):
    with pytest.raises(ReportError, match="there is no folder"):
        gather(tmp_path / "nowhere")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(ReportError, match=r"not evaluated\n.*flan-jax evaluate"):
        gather(tmp_path / "run")
