"""The client's part on bundles, and on reports of several studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from service.client.connection import Connection, quote_segment
from service.schemas.studies import ReportFormat


class ReportsClient:
    """What is saved of reports, by a client's connection.

    Args:
        connection: The client's.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def save_joint(self, ids: Sequence[str], target: IO[bytes], form: ReportFormat) -> None:
        """Write one report of several studies of one protocol.

        Args:
            ids: The studies, two or more.
            target: The file to write.
            form: Which form of it.

        Raises:
            RequestRefusedError: They cannot be compared; the message has each field that differs.
        """
        query = "&".join(f"study={quote_segment(each)}" for each in ids)
        self._connection.download(f"/reports?{query}&form={form.value}", target)

    def save_bundle(self, study_id: str, path: Path) -> None:
        """Save a zip of a study's report with everything that it was computed from.

        Args:
            study_id: Its id.
            path: The file to write; it is there once it is whole.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                self._connection.download(f"/studies/{quote_segment(study_id)}/bundle", file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
