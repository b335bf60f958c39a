"""Measured speeds of packs, shared by all studies."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from service.storage.engine import upsert
from service.storage.tables import speeds as table
from studies.planning.throughput import Speed, Subject
from studies.records.rows import Mode


@dataclass(frozen=True, kw_only=True)
class MeasuredSubject:
    """The measured speeds of one subject.

    Args:
        subject: The subject.
        speeds: At least one.
    """

    subject: Subject
    speeds: tuple[Speed, ...]


def read_speeds(connection: Connection, subject: Subject) -> tuple[Speed, ...]:
    """Return the measured speeds of a subject, in order of mode and lanes; may be empty.

    Args:
        connection: In a transaction.
        subject: The subject.
    """
    query = select(table).where(table.c.subject == _digest(subject)).order_by(table.c.mode, table.c.lanes)
    return tuple(_speed_from_row(row) for row in connection.execute(query))


def read_workload_speeds(connection: Connection, workload: str) -> tuple[MeasuredSubject, ...]:
    """Return the measured speeds of a workload with any options, optimizer, hardware and code.

    Args:
        connection: In a transaction.
        workload: The registered workload's name.
    """
    prefix = json.dumps([workload]).removesuffix("]") + ","
    query = select(table).where(table.c.about.startswith(prefix, autoescape=True))
    speeds_by_subject: dict[str, list[Speed]] = {}
    for row in connection.execute(query.order_by(table.c.about, table.c.mode, table.c.lanes)):
        speeds_by_subject.setdefault(row.about, []).append(_speed_from_row(row))
    return tuple(
        MeasuredSubject(subject=Subject.of_key(about), speeds=tuple(speeds))
        for about, speeds in speeds_by_subject.items()
    )


def replace_speeds(connection: Connection, subject: Subject, speeds: Sequence[Speed]) -> None:
    """Replace the measured speeds of a subject.

    Args:
        connection: In a write transaction.
        subject: The subject.
        speeds: At least one.
    """
    digest = _digest(subject)
    connection.execute(delete(table).where(table.c.subject == digest))
    upsert(
        connection,
        table,
        [
            {
                "subject": digest,
                "lanes": speed.lanes,
                "mode": speed.mode.value,
                "seconds": speed.seconds,
                "making": speed.compile_seconds,
                "about": subject.key,
            }
            for speed in speeds
        ],
    )


def _speed_from_row(row: Row[*tuple[Any, ...]]) -> Speed:
    return Speed(lanes=row.lanes, mode=Mode(row.mode), seconds=row.seconds, compile_seconds=row.making)


def _digest(subject: Subject) -> str:
    return hashlib.sha256(subject.key.encode()).hexdigest()
