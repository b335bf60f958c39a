"""Tables of the findings."""

from studies.reporting.builder import build_report
from studies.reporting.tables.summary import overview_table
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance


def test_the_overview_says_whose_seeds_diverged() -> None:
    spec = planted_spec(OUTCOMES)
    table = overview_table(build_report(spec, planted_rows(spec, OUTCOMES), provenance(spec)))
    said = {row[0].text: [cell.lines[1:] for cell in row[1:]] for row in table.rows}
    assert said.pop("shaky") == [("2 of 12 seeds diverged",)] * 2
    assert all(lines == [(), ()] for lines in said.values())
