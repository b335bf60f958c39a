import re

import pytest

from studies.latex import latex
from studies.report import build_report
from studies.rows import Rows
from tests.unit.studies.planted import OUTCOMES, planted_rows, planted_spec, provenance

SPEC = planted_spec(OUTCOMES)
TEXT = latex(build_report(SPEC, planted_rows(SPEC, OUTCOMES), provenance(SPEC)))


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
    text = latex(build_report(spec, Rows(), provenance(spec)))
    assert r"bowl\_a: final training loss" in text
    assert "tab:bowl_a" in text


@pytest.mark.parametrize("text", [r"$3.44 \cdot 10^{-7}$"])
def test_powers_of_ten_are_mathematics(text: str) -> None:
    assert text in TEXT
    assert not re.search(r"\de-\d", TEXT)


def test_differences_have_a_minus_and_no_hyphen() -> None:
    assert re.search(r"& \$-\$0\.\d+ &", TEXT)
    assert not re.search(r"& -\d", TEXT)
