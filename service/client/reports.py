"""The client's methods for bundles and joint reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from service.client.connection import Connection, quote_segment
from service.schemas.reports import ReportFormat


class ReportsResource:
    """Saves bundles and joint reports.

    Args:
        connection: The connection to the service.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def save_joint(self, ids: Sequence[str], target: IO[bytes], form: ReportFormat) -> None:
        """Write one report of several studies with the same protocol.

        Args:
            ids: The ids of two or more studies.
            target: The file to write.
            form: The format.

        Raises:
            RequestRefusedError: They cannot be compared; the message lists every differing field.
        """
        query = "&".join(f"study={quote_segment(study_id)}" for study_id in ids)
        self._connection.download(f"/reports?{query}&form={form.value}", target)

    def save_bundle(self, study_id: str, path: Path) -> None:
        """Save a zip of a study's report and all data it was computed from.

        Args:
            study_id: Its id.
            path: The file to write; it appears only when complete.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        try:
            with partial.open("wb") as file:
                self._connection.download(f"/studies/{quote_segment(study_id)}/bundle", file)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
