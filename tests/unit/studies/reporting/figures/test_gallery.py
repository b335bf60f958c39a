import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from studies.records.rows import Rows, Run
from studies.reporting.builder import build_report
from studies.reporting.figures.gallery import RenderedFigure, render_figures
from studies.spec.parameters import Stage
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

SVG = "{http://www.w3.org/2000/svg}"
L4 = Planted(log_loss=-3.0)


def drawn(
    arms: Mapping[str, Planted], *, workloads: Sequence[str] = ("bowl",), objective: str = "train_loss"
) -> dict[str, RenderedFigure]:
    spec = planted_spec(arms, workloads=workloads, objective=objective)
    rows = planted_rows(spec, arms)
    return {picture.name: picture for picture in render_figures(build_report(spec, rows, provenance(spec)), rows)}


@pytest.fixture(scope="module")
def bowl() -> dict[str, RenderedFigure]:
    """The pictures of the planted study."""
    return drawn(OUTCOMES)


def words(picture: RenderedFigure) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(picture.svg).iter(f"{SVG}text")]


def test_every_workload_has_its_pictures() -> None:
    kinds = ("train_loss", "test_accuracy", "effective_lr", "sensitivity-lr", "tuning_cost")
    assert list(drawn(OUTCOMES, workloads=("bowl", "valley"))) == [
        *(f"{w}-{k}" for w in ("bowl", "valley") for k in kinds),
        "performance_profile",
    ]


@pytest.mark.parametrize("name", ["bowl-train_loss", "bowl-test_accuracy", "bowl-effective_lr", "bowl-sensitivity-lr"])
def test_a_picture_stands_alone_and_names_every_arm(bowl: dict[str, RenderedFigure], name: str) -> None:
    picture = bowl[name]
    assert [text.split(" (")[0] for text in words(picture) if text.split(" (")[0] in OUTCOMES] == list(OUTCOMES)
    assert set(re.findall(r"https?://[^\"']*", picture.svg)) == {"http://www.w3.org/2000/svg"}


def test_axes_are_labelled(bowl: dict[str, RenderedFigure]) -> None:
    assert {"step", "training loss"} <= set(words(bowl["bowl-train_loss"]))
    assert {"learning rate", "training loss", "chosen", "off the scale"} <= set(words(bowl["bowl-sensitivity-lr"]))


def test_the_legend_says_who_diverged(bowl: dict[str, RenderedFigure]) -> None:
    assert "shaky (2 diverged)" in words(bowl["bowl-train_loss"])
    lost = replace(OUTCOMES["shaky"], diverged_seeds=99, diverges_above=0.0)
    assert "lost (all diverged)" in words(drawn({"l4": L4, "lost": lost})["bowl-train_loss"])


def test_ids_do_not_clash_between_pictures_of_one_page(bowl: dict[str, RenderedFigure]) -> None:
    ids = [i for picture in bowl.values() for i in re.findall(r' id="([^"]+)"', picture.svg)]
    assert len(ids) == len(set(ids)) > 0


def test_the_same_rows_give_the_same_bytes(bowl: dict[str, RenderedFigure]) -> None:
    assert drawn(OUTCOMES) == bowl


def test_without_a_search_there_is_no_sensitivity() -> None:
    assert list(drawn({"l4": L4})) == ["bowl-train_loss", "bowl-test_accuracy", "bowl-effective_lr"]


def test_a_metric_is_drawn_on_validation_data_where_there_are_no_test_data() -> None:
    def untested(run: Run) -> Run:
        return replace(run, series=tuple(series for series in run.series if not series.name.startswith("test")))

    assert "bowl-validation_accuracy" in [picture.name for picture in changed(untested)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arms",
    [
        {"l4": Planted(log_loss=-math.inf), "sgd": OUTCOMES["better"]},
        {"l4": Planted(log_loss=-20.0, spread=40.0), "sgd": Planted(log_loss=300.0, best_lr=0.1)},
        {"l4": L4, "sgd": replace(OUTCOMES["better"], diverges_above=0.0, diverged_seeds=99)},
        {"l4": replace(L4, diverged_seeds=99)},
        {"l4": L4} | {f"arm-{i}-{'W' * 55}": replace(OUTCOMES["better"], log_loss=-3.0 - i) for i in range(24)},
    ],
    ids=["zero", "huge", "search diverged", "all diverged", "many arms"],
)
def test_hard_numbers_are_drawn(arms: Mapping[str, Planted]) -> None:
    for picture in drawn(arms).values():
        assert "NaN" not in picture.svg
        assert ElementTree.fromstring(picture.svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("objective", ["validation_accuracy", "validation_loss"])
def test_sensitivity_is_drawn_for_any_objective(objective: str) -> None:
    assert objective.replace("_", " ") in words(drawn(OUTCOMES, objective=objective)["bowl-sensitivity-lr"])


def test_rows_without_series_or_without_runs_give_what_there_is() -> None:
    assert [picture.name for picture in changed(lambda run: replace(run, series=()))] == [
        "bowl-sensitivity-lr",
        "bowl-tuning_cost",
    ]
    assert changed(lambda run: None) == ()
    searched = changed(lambda run: run if run.stage is Stage.SEARCH else None)
    assert [picture.name for picture in searched] == ["bowl-sensitivity-lr", "bowl-tuning_cost"]


def changed(change: Callable[[Run], Run | None]) -> tuple[RenderedFigure, ...]:
    spec = planted_spec(OUTCOMES, workloads=("bowl",))
    rows = planted_rows(spec, OUTCOMES)
    runs = tuple(found for run in rows.runs if (found := change(run)) is not None)
    rows = Rows(trials=rows.trials, packs=rows.packs, runs=runs)
    return render_figures(build_report(spec, rows, provenance(spec)), rows)
