"""The pages: the list of studies, a study, and a form for a new one."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Response

from service.api.authorization import CallerGiven, needs
from service.api.dependencies import Cursor, NamePart, SettingsGiven, States, StoreGiven, StudyId
from service.api.openapi import STUDY_JSON
from service.roles import Role
from service.schemas.studies import Form
from service.settings import Settings
from service.states import State
from service.storage.entities import Caller
from service.storage.repositories.listing import Wanted
from service.storage.repositories.studies import Store
from service.web.study_page import look
from service.web.templating import Pages, PagesGiven

router = APIRouter(dependencies=[Depends(needs(Role.READER))], include_in_schema=False)

#: Studies in a page of the list.
_PAGE = 50


@router.get("/")
def studies_page(
    caller: CallerGiven,
    store: StoreGiven,
    pages: PagesGiven,
    cursor: Cursor = None,
    state: States = (),
    name: NamePart = "",
    archived: bool = False,
) -> Response:
    """Return the list of studies, newest first."""
    found = store.studies(_PAGE, cursor, Wanted(states=tuple(state), name=name, archived=archived))
    asked = [*(("state", each.value) for each in state), *([("name", name)] if name else [])]
    asked += [("archived", "true")] if archived else []
    more = None if found.next_cursor is None else "/?" + urlencode([*asked, ("cursor", found.next_cursor)])
    first = None if cursor is None else "/?" + urlencode(asked)
    return pages.page(
        "studies.html",
        caller=caller,
        here="studies",
        studies=found.items,
        states=tuple(State),
        chosen=tuple(state),
        name=name,
        archived=archived,
        more=more,
        first=first,
    )


@router.get("/pages/new")
def new_page(caller: CallerGiven, settings: SettingsGiven, pages: PagesGiven) -> Response:
    """Return a form that makes a study of what can be trained."""
    return pages.page(
        "new.html",
        caller=caller,
        here="new",
        example=STUDY_JSON,
        needs_keys=settings.needs_keys,
        may_submit=caller.role.includes(Role.SUBMITTER),
    )


@router.get("/pages/studies/{study_id}")
def study_page(
    study_id: StudyId, caller: CallerGiven, store: StoreGiven, settings: SettingsGiven, pages: PagesGiven
) -> Response:
    """Return a study's page, which shows what goes on as long as it is open."""
    return _study(pages, "study.html", study_id, caller, store, settings)


@router.get("/pages/studies/{study_id}/now")
def study_now(
    study_id: StudyId, caller: CallerGiven, store: StoreGiven, settings: SettingsGiven, pages: PagesGiven
) -> Response:
    """Return the part of a study's page that changes, for the page to take up."""
    return _study(pages, "study_now.html", study_id, caller, store, settings)


def _study(pages: Pages, template: str, study_id: str, caller: Caller, store: Store, settings: Settings) -> Response:
    seen = look(store.study(study_id), caller, store, settings, datetime.now(UTC))
    forms = tuple(form.value for form in Form if form is not Form.HTML)
    return pages.page(template, caller=caller, here="study", look=seen, spec=seen.study.spec, forms=forms)
