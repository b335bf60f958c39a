import re

import pytest

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.formats.latex import render_latex
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance

SPEC = planted_spec(OUTCOMES)
TEXT = render_latex(build_report(SPEC, planted_rows(SPEC, OUTCOMES), provenance(SPEC)))


def test_there_is_a_table_for_each_workload_and_one_of_the_verdicts() -> None:
    assert re.findall(r"\\label\{(.*?)\}", TEXT) == ["tab:bowl", "tab:valley", "tab:verdicts"]
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{table}", r"\end{table}", r"\end{tabular}"):
        assert TEXT.count(word) == 3


def test_each_row_has_as_many_cells_as_the_table_has_columns() -> None:
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", TEXT, re.DOTALL)
    assert len(tables) == 3
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 1 + len(OUTCOMES)
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}


def test_what_latex_would_take_for_its_own_is_escaped() -> None:
    spec = SPEC.model_copy(
        update={
            "workloads": tuple(each.model_copy(update={"name": f"{each.name}_a"}) for each in SPEC.workloads),
        }
    )
    text = render_latex(build_report(spec, Rows(), provenance(spec)))
    assert r"bowl\_a: final training loss" in text
    assert "tab:bowl_a" in text


def test_a_name_that_looks_like_a_number_stays_a_name() -> None:
    arms = {"l4": OUTCOMES["l4"], "sgd-1e-3": OUTCOMES["better"], "0.5": OUTCOMES["worse"]}
    spec = planted_spec(arms, reference="sgd-1e-3")
    text = render_latex(build_report(spec, planted_rows(spec, arms), provenance(spec)))
    assert text.count("sgd-1e-3 &") == 3
    assert text.count("    0.5 &") == 3
    assert "differences to sgd-1e-3," in text


def test_seeds_that_diverged_are_told_under_every_table() -> None:
    captions = re.findall(r"\\caption\{(.*)\}", TEXT)
    assert [caption.endswith("Seeds that diverged, which means leave out: shaky 2 of 12.") for caption in captions] == [
        True,
        True,
        False,
    ]
    assert captions[2].endswith("Seeds that diverged: shaky 2 of 12 on bowl and shaky 2 of 12 on valley.")
    whole = {name: OUTCOMES[name] for name in ("l4", "better")}
    spec = planted_spec(whole)
    assert "diverged" not in render_latex(build_report(spec, planted_rows(spec, whole), provenance(spec)))


@pytest.mark.parametrize("text", [r"$3.44 \cdot 10^{-7}$"])
def test_powers_of_ten_are_mathematics(text: str) -> None:
    assert text in TEXT
    assert not re.search(r"\de-\d", TEXT)


def test_differences_have_a_minus_and_no_hyphen() -> None:
    assert re.search(r"& \$-\$0\.\d+ &", TEXT)
    assert not re.search(r"& -\d", TEXT)
