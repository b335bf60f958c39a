"""Counts of all finished runs by outcome, those of deleted studies included."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from service.storage.tables import tallies
from studies.records.rows import Outcome, Run


def add_to_run_counts(connection: Connection, runs: Sequence[Run]) -> None:
    """Count runs that are written in the same transaction.

    Args:
        connection: In a transaction that writes.
        runs: The runs, at least one.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(tallies)
    increment = statement.on_conflict_do_update(
        index_elements=["outcome"], set_={"runs": tallies.c.runs + statement.excluded.runs}
    )
    counts = Counter(run.outcome.value for run in runs)
    # in the same order for all who write at once: none of them waits for one that waits for it
    connection.execute(increment, [{"outcome": outcome, "runs": counts[outcome]} for outcome in sorted(counts)])


def read_run_counts(connection: Connection) -> dict[Outcome, int]:
    """Return how many runs were ever done, by outcome, those that there were none of included.

    Args:
        connection: In a transaction.
    """
    counts = {Outcome(row.outcome): row.runs for row in connection.execute(select(tallies))}
    return {outcome: counts.get(outcome, 0) for outcome in Outcome}
