"""Page templates, and the security headers of pages."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, cast, final

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.api.presenters import mlflow_links
from service.schemas.display import best_score, best_setting
from service.settings import Settings
from service.storage.entities import StudySummaryRow
from studies.formatting import duration, label

#: A page may load only the service's own files, and run no inline script.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # with `no-referrer`, browsers would send forms with a null Origin
    "Referrer-Policy": "same-origin",
}


@final
class PageTemplates:
    """The templates of the pages.

    Args:
        settings: The deployment's settings.
    """

    def __init__(self, settings: Settings) -> None:
        """Set up the environment; templates are read when first used."""
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._mlflow = mlflow_links.experiments_url(settings)

    def render(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a page.

        Args:
            template: The template's file name.
            status: The response's status.
            values: The template's context.
        """
        text = self._environment.get_template(template).render(
            values,
            mlflow=self._mlflow,
            best_score=best_score,
            best_setting=best_setting,
            label=label,
            moment=_format_time,
            took=_elapsed_text,
        )
        return HTMLResponse(text, status, _HEADERS)


def _format_time(at: datetime, *, seconds: bool = False) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"


def _elapsed_text(study: StudySummaryRow) -> str:
    if study.started_at is None:
        return "–"
    return "running" if study.ended_at is None else duration((study.ended_at - study.started_at).total_seconds())


def _get_templates(request: Request) -> PageTemplates:
    return cast(PageTemplates, request.app.state.templates)


TemplatesDep = Annotated[PageTemplates, Depends(_get_templates)]
