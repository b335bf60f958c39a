"""Counts of all finished runs by outcome, including those of deleted studies."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from service.storage.tables import tallies
from studies.records.rows import Outcome, Run


def add_to_run_counts(connection: Connection, runs: Sequence[Run]) -> None:
    """Add runs to the counts, in the transaction that writes the runs.

    Args:
        connection: In a write transaction.
        runs: The runs, at least one.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(tallies)
    increment = statement.on_conflict_do_update(
        index_elements=["outcome"], set_={"runs": tallies.c.runs + statement.excluded.runs}
    )
    counts = Counter(run.outcome.value for run in runs)
    # always in the same order, so that concurrent writers cannot deadlock
    connection.execute(increment, [{"outcome": outcome, "runs": counts[outcome]} for outcome in sorted(counts)])


def read_run_counts(connection: Connection) -> dict[Outcome, int]:
    """Return the number of runs ever finished, for every outcome.

    Args:
        connection: In a transaction.
    """
    counts = {Outcome(row.outcome): row.runs for row in connection.execute(select(tallies))}
    return {outcome: counts.get(outcome, 0) for outcome in Outcome}
