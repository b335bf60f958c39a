"""How far a study is: at any look as a replay of all its rows would have it, though few of them are read."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from studies.planning.progress import ArmKey, SearchProgress, progress
from studies.records.rows import Rows
from studies.search.selection import MAX_EXTENSIONS, replay_search, select_best
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec
from tests.support.progress import progress_of

#: One fixed, one whose range is right, and one whose best lies beyond its range.
ARMS = {
    "l4": OUTCOMES["l4"],
    "better": OUTCOMES["better"],
    "beyond": Planted(log_loss=-3.0, best_lr=1e4, diverges_above=1e9),
}
SPEC = planted_spec(ARMS)
WHOLE = planted_rows(SPEC, ARMS)
PLACES = [(workload.name, arm.name) for workload in SPEC.workloads for arm in SPEC.arms]


def after(packs: int) -> Rows:
    """Return the rows when so many packs are done; those of trials that have not begun do not matter."""
    return Rows(trials=WHOLE.trials, runs=tuple(run for run in WHOLE.runs if run.pack < packs))


def test_what_is_expected_at_first() -> None:
    begun = progress_of(SPEC, Rows())
    assert (begun.done, begun.total) == (0, 2 * ((1 + 9 + 9) + 3 * SPEC.protocol.confirm_seeds))


def test_a_whole_study_is_done() -> None:
    found = progress_of(SPEC, WHOLE)
    assert found.done == found.total == len(WHOLE.runs)
    assert len(found.searches["bowl", "beyond"].rounds) == 1 + MAX_EXTENSIONS


@given(st.lists(st.integers(0, len(WHOLE.packs))))
def test_a_look_after_others_is_as_a_replay_of_all_rows(looks: list[int]) -> None:
    known: Mapping[ArmKey, SearchProgress] = {}
    reads: Counter[ArmKey] = Counter()
    for packs in sorted(looks):
        rows = after(packs)

        def read(places: Sequence[ArmKey], rows: Rows = rows) -> Rows:
            reads.update(places)
            return rows

        found = progress(SPEC, Counter((run.workload, run.arm, run.stage) for run in rows.runs), None, known, read)
        replayed = {place: replay_search(SPEC, rows, *place) for place in PLACES}
        for place, each in replayed.items():
            at = found.searches[place]
            assert (at.rounds, at.trials_done, at.done) == (each.rounds, len(each.scores), each.done)
            assert at.best == (select_best(each.scores, SPEC.protocol.direction) if each.scores else None)
        trials = sum(each.trials for each in replayed.values())
        total = trials * SPEC.protocol.search_seeds + len(PLACES) * SPEC.protocol.confirm_seeds
        assert (found.done, found.total) == (len(rows.runs), total)
        known = found.searches
    for place, count in reads.items():  # once for each look that had more runs of it
        assert count <= len({sum((run.workload, run.arm) == place for run in after(packs).runs) for packs in looks})


def test_what_has_no_new_runs_is_not_read_again() -> None:
    asked: list[ArmKey] = []

    def read(places: Sequence[ArmKey]) -> Rows:
        asked.extend(places)
        return WHOLE

    counts = Counter((run.workload, run.arm, run.stage) for run in WHOLE.runs)
    found = progress(SPEC, counts, None, {}, read)
    assert asked == PLACES
    assert all(each.done for each in found.searches.values())
    assert progress(SPEC, counts, None, found.searches, read) == found
    assert asked == PLACES
