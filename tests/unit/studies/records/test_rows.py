"""The rows of a study, apart for each arm on each workload."""

from studies.records.rows import Rows, by_arm
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec

ARMS = {name: OUTCOMES[name] for name in ("l4", "better")}
WHOLE = planted_rows(planted_spec(ARMS), ARMS)


def test_every_row_is_in_its_own_part_and_in_order() -> None:
    apart = by_arm(WHOLE)

    assert set(apart) == {(workload, arm) for workload in ("bowl", "valley") for arm in ARMS}
    for key, own in apart.items():
        assert own.trials == tuple(trial for trial in WHOLE.trials if (trial.workload, trial.arm) == key)
        assert own.packs == tuple(pack for pack in WHOLE.packs if (pack.workload, pack.arm) == key)
        assert own.runs == tuple(run for run in WHOLE.runs if (run.workload, run.arm) == key)


def test_an_arm_without_rows_has_no_part() -> None:
    assert by_arm(Rows()) == {}
