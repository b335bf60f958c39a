import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, NoReturn

import pytest

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import Report
from studies.spec.definition import Budget
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

DIVERGED = {
    "l4": Planted(log_loss=-3.0),
    "sgd": Planted(log_loss=0.0, best_lr=0.1, diverges_above=0.0, diverged_seeds=99),
}
FORMS = {f"report.{form}" for form in ("json", "html", "md", "csv", "tex")}
KINDS = ("train_loss", "test_accuracy", "effective_lr", "sensitivity-lr", "tuning_cost")


def files(arms: Mapping[str, Planted] = OUTCOMES, *, study_id: str = "s-1") -> dict[str, bytes]:
    spec = planted_spec(arms)
    rows = planted_rows(spec, arms)
    return render(build_report(spec, rows, provenance(spec, study_id)), rows)


@pytest.fixture(scope="module")
def found() -> dict[str, bytes]:
    """The files of the planted study."""
    return files()


def strict(text: bytes) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


class Tags(HTMLParser):
    """Collects the attributes of every tag, and the tags left open."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_there_is_every_form_and_every_picture(found: dict[str, bytes]) -> None:
    assert set(found) >= FORMS
    names = {"performance_profile", *(f"{workload}-{kind}" for workload in ("bowl", "valley") for kind in KINDS)}
    assert {name for name in found if name not in FORMS} == {f"{n}.{form}" for n in names for form in ("svg", "png")}
    assert all(content.startswith(b"\x89PNG") for name, content in found.items() if name.endswith(".png"))


@pytest.mark.parametrize(
    "arms", [OUTCOMES, DIVERGED, {"l4": Planted(log_loss=-3.0)}], ids=["mixed", "diverged", "one arm"]
)
def test_json_is_strict_and_holds_the_spec_and_every_seed(arms: Mapping[str, Planted]) -> None:
    spec = planted_spec(arms)
    rows = planted_rows(spec, arms)
    rows = replace(rows, runs=tuple(replace(run, series=()) for run in rows.runs))
    document = strict(render(build_report(spec, rows, provenance(spec)), rows)["report.json"])
    assert StudySpec.model_validate(document["spec"]) == spec
    for workload in document["workloads"]:
        for arm in workload["arms"]:
            assert [seed["seed"] for seed in arm["seeds"]] == list(spec.confirm_seeds)
            assert all("train_loss" in seed for seed in arm["seeds"])


def test_json_reads_back_as_the_report(found: dict[str, bytes]) -> None:
    spec = planted_spec(OUTCOMES)
    report = build_report(spec, planted_rows(spec, OUTCOMES), provenance(spec))
    assert Report.model_validate_json(found["report.json"]) == report


def test_the_same_study_gives_the_same_bytes(found: dict[str, bytes]) -> None:
    assert files() == found


@pytest.mark.slow
def test_another_study_of_the_same_spec_differs_only_in_its_provenance(found: dict[str, bytes]) -> None:
    one, two = found, files(study_id="s-2")
    changed = {"report.json", "report.html", "report.md", "report.tex"}
    assert {name for name in one if one[name] != two[name]} == changed
    assert one["report.json"].replace(b"s-1", b"s-2") == two["report.json"]


def test_html_is_well_formed_and_asks_for_nothing_outside(found: dict[str, bytes]) -> None:
    text = found["report.html"].decode()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "http" not in text.replace("http-equiv", "")
    sources = [value for name, value in tags.attributes if name in {"src", "href"}]
    assert all(value.startswith("#") for value in sources)
    assert not re.search(r"@import|<script|<link|url\((?!#)", text)


def test_html_ids_are_unique(found: dict[str, bytes]) -> None:
    tags = Tags()
    tags.feed(found["report.html"].decode())
    ids = [value for name, value in tags.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_html_says_the_finding_and_the_warnings_before_any_table(found: dict[str, bytes]) -> None:
    text = found["report.html"].decode()
    verdict, warning, table = (text.index(part) for part in ("got to where the best", "Warnings", "<table"))
    assert verdict < warning < table
    assert "Intervals cover seeds, not the luck of the search." in text
    assert "prefers-color-scheme: dark" in text


def test_html_escapes_what_a_user_wrote() -> None:
    spec = planted_spec(OUTCOMES).model_copy(update={"name": "<b>a & b</b>"})
    text = render(build_report(spec, Rows(), provenance(spec)), Rows())["report.html"].decode()
    assert "<b>a" not in text
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text


def test_markdown_has_one_table_row_an_arm_in_the_promised_order_of_columns(found: dict[str, bytes]) -> None:
    text = found["report.md"].decode()
    heading = "| arm | setting | final training loss | test accuracy | verdict against l4 | tuning cost |"
    assert text.count(heading) == 2
    rows = text.split(heading)[1].split("\n\n")[0].strip().splitlines()[1:]
    assert [row.split("|")[1].split("<br>")[0].strip() for row in rows] == list(OUTCOMES)
    assert {row.count("|") for row in rows} == {7}
    assert text.index("got to where the best") < text.index("## Warnings") < text.index(heading)


def test_csv_has_a_row_an_arm_and_workload(found: dict[str, bytes]) -> None:
    records = list(csv.DictReader(io.StringIO(found["report.csv"].decode())))
    assert [(record["workload"], record["arm"]) for record in records] == [
        (workload, arm) for workload in ("bowl", "valley") for arm in OUTCOMES
    ]
    assert [record["verdict"] for record in records][:6] == [
        "reference",
        "win",
        "loss",
        "tie",
        "undecided",
        "undecided",
    ]
    better = records[1]
    assert float(better["train_loss"]) == pytest.approx(1.006e-4, rel=1e-3)
    assert (better["trials"], better["trials_diverged"]) == ("9", "1")


def test_a_study_without_any_run_is_still_rendered() -> None:
    spec = planted_spec(OUTCOMES)
    empty = render(build_report(spec, Rows(), provenance(spec)), Rows())
    assert set(empty) == FORMS
    assert strict(empty["report.json"])["complete"] is False
    assert b"Incomplete" in empty["report.html"]


def test_a_workload_without_metrics_has_an_empty_metric_column() -> None:
    spec = planted_spec(OUTCOMES, workloads=("bowl",))
    rows = planted_rows(spec, OUTCOMES)
    rows = replace(rows, runs=tuple(replace(run, metrics={}) for run in rows.runs))
    text = render(build_report(spec, rows, provenance(spec)), rows)["report.md"].decode()
    assert "| arm | setting | final training loss | metric | verdict against l4 | tuning cost |" in text


@pytest.mark.slow
def test_a_study_that_its_budget_ended_says_so_first() -> None:
    spec = planted_spec(OUTCOMES)
    spec = spec.model_copy(
        update={"protocol": spec.protocol.model_copy(update={"budget": Budget(trials=2 * (2 + 4 * 5))})}
    )
    rows = planted_rows(spec, OUTCOMES)
    found = render(build_report(spec, rows, provenance(spec)), rows)
    said = "The budget of 44 trials ended the study early; trials done: better on bowl 5 of 9, worse on bowl 5 of 9"
    document = strict(found["report.json"])
    assert document["cut_short"].startswith(said)
    assert document["warnings"][0] == document["cut_short"]
    assert found["report.md"].decode().split("\n\n")[1].startswith(f"**{said}")
    assert f'<p class="undecided" role="alert">{said}' in found["report.html"].decode()
    for name in ("report.html", "report.md"):
        text = found[name].decode()
        assert "5 of 9 trials, cut by the budget" in text
        assert "The budget cut the search of better, worse, noisy and shaky" in text
    records = list(csv.DictReader(io.StringIO(found["report.csv"].decode())))
    assert {record["arm"] for record in records if record["search_cut"] == "true"} == {
        "better",
        "worse",
        "noisy",
        "shaky",
    }
    assert {record["search_cut"] for record in records if record["kind"] == "fixed"} == {"false"}


@pytest.mark.slow
def test_a_shortened_study_says_so_in_large_letters() -> None:
    spec = planted_spec(OUTCOMES)
    spec = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"scale": 0.01})})
    rows = planted_rows(spec, OUTCOMES)
    found = render(build_report(spec, rows, provenance(spec, "s-1")), rows)
    assert '<p class="shortened" role="alert">SHORTENED to 0.01 of its length' in found["report.html"].decode()
    assert "\n# ⚠ SHORTENED to 0.01 of its length" in found["report.md"].decode()
    assert json.loads(found["report.json"])["warnings"][0].startswith("SHORTENED")
    assert not any(b"SHORTENED" in content for content in files().values())


def test_html_can_be_read_without_seeing_it(found: dict[str, bytes]) -> None:
    text = found["report.html"].decode()
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert "<caption>" in table
        assert '<th scope="col">' in table
        assert 'scope="row"' in table
    assert all(re.search(r'role="img" aria-label="[^"]{20,}"', svg) for svg in re.findall(r"<svg [^>]*>", text))
    for landmark in ("<main", "<header", "<nav", '<html lang="en"', 'class="skip"'):
        assert landmark in text
    headings = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    targets = set(re.findall(r'href="#([^"]+)"', text)) - set(re.findall(r' id="([^"]+)"', text))
    assert targets == set()


def test_html_is_for_paper_and_phones_too(found: dict[str, bytes]) -> None:
    text = found["report.html"].decode()
    assert "@media print" in text
    assert "@media (max-width: 44rem)" in text
    assert 'name="viewport"' in text
    assert ":focus-visible" in text


@pytest.mark.slow
def test_mixed_hardware_is_a_warning_and_part_of_the_provenance_only() -> None:
    spec = planted_spec(OUTCOMES)
    rows = planted_rows(spec, OUTCOMES)
    first, *others = rows.packs
    rows = replace(rows, packs=(replace(first, host="a GPU"), *others))
    report = build_report(spec, rows, provenance(spec))
    assert report.provenance.mixed.startswith("Mixed hardware, packs trained on a GPU and here")
    assert not any("hardware" in warning for warning in report.warnings)
    found = render(report, rows)
    assert "<li>Mixed hardware" in found["report.html"].decode()
    assert "- Mixed hardware" in found["report.md"].decode()
