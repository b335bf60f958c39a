"""The pages: the list of studies, a study, and a form for a new one."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Response

from service.api.authorization import CallerDep, RequireRole
from service.api.dependencies import Cursor, NamePart, SettingsDep, States, StoreDep, StudyId
from service.api.openapi import STUDY_JSON
from service.roles import Role
from service.schemas.reports import ReportFormat
from service.settings import Settings
from service.states import State
from service.storage.entities import Caller
from service.storage.repositories.listing import StudyFilter
from service.storage.repositories.studies import Store
from service.web.study_page import build_study_page
from service.web.templating import PageTemplates, TemplatesDep

router = APIRouter(dependencies=[Depends(RequireRole(Role.READER))], include_in_schema=False)

_PAGE_SIZE = 50


@router.get("/")
def studies_page(
    caller: CallerDep,
    store: StoreDep,
    templates: TemplatesDep,
    cursor: Cursor = None,
    state: States = (),
    name: NamePart = "",
    archived: bool = False,
) -> Response:
    """Return the list of studies, newest first."""
    page = store.studies(_PAGE_SIZE, cursor, StudyFilter(states=tuple(state), name=name, archived=archived))
    query = [*(("state", value.value) for value in state), *([("name", name)] if name else [])]
    query += [("archived", "true")] if archived else []
    next_url = None if page.next_cursor is None else "/?" + urlencode([*query, ("cursor", page.next_cursor)])
    first_url = None if cursor is None else "/?" + urlencode(query)
    return templates.render(
        "studies.html",
        caller=caller,
        section="studies",
        studies=page.items,
        states=tuple(State),
        chosen=tuple(state),
        name=name,
        archived=archived,
        next_url=next_url,
        first_url=first_url,
    )


@router.get("/pages/new")
def new_page(caller: CallerDep, settings: SettingsDep, templates: TemplatesDep) -> Response:
    """Return the form for a new study."""
    return templates.render(
        "new.html",
        caller=caller,
        section="new",
        example=STUDY_JSON,
        needs_keys=settings.needs_keys,
        may_submit=caller.role.includes(Role.SUBMITTER),
    )


@router.get("/pages/studies/{study_id}")
def study_page(
    study_id: StudyId, caller: CallerDep, store: StoreDep, settings: SettingsDep, templates: TemplatesDep
) -> Response:
    """Return a study's page, which updates itself while it is open."""
    return _render_study(templates, "study.html", study_id, caller, store, settings)


@router.get("/pages/studies/{study_id}/now")
def study_now(
    study_id: StudyId, caller: CallerDep, store: StoreDep, settings: SettingsDep, templates: TemplatesDep
) -> Response:
    """Return the parts of a study's page that change; its script replaces them."""
    return _render_study(templates, "study_now.html", study_id, caller, store, settings)


def _render_study(
    templates: PageTemplates, template: str, study_id: str, caller: Caller, store: Store, settings: Settings
) -> Response:
    view = build_study_page(store.study(study_id), caller, store, settings, datetime.now(UTC))
    forms = tuple(form.value for form in ReportFormat if form is not ReportFormat.HTML)
    return templates.render(template, caller=caller, section="study", view=view, spec=view.study.spec, forms=forms)
