"""Measured speeds of packs in the database, kept for all studies."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from service.database import put
from service.tables import speeds as table
from studies.speeds import Mode, Speed, Subject


def read_speeds(connection: Connection, subject: Subject) -> tuple[Speed, ...]:
    """Return what was measured of a subject, in order of mode and lanes; nothing where nothing was.

    Args:
        connection: In a transaction.
        subject: Of what.
    """
    own = select(table).where(table.c.subject == _digest(subject)).order_by(table.c.mode, table.c.lanes)
    return tuple(
        Speed(lanes=row.lanes, mode=Mode(row.mode), seconds=row.seconds, making=row.making)
        for row in connection.execute(own)
    )


def replace_speeds(connection: Connection, subject: Subject, speeds: Sequence[Speed]) -> None:
    """Write what was measured of a subject, in place of what was before.

    Args:
        connection: In a transaction that writes.
        subject: Of what.
        speeds: At least one.
    """
    digest = _digest(subject)
    connection.execute(delete(table).where(table.c.subject == digest))
    put(
        connection,
        table,
        [
            {
                "subject": digest,
                "lanes": speed.lanes,
                "mode": speed.mode.value,
                "seconds": speed.seconds,
                "making": speed.making,
                "about": subject.key,
            }
            for speed in speeds
        ],
    )


def _digest(subject: Subject) -> str:
    return hashlib.sha256(subject.key.encode()).hexdigest()
