"""What the routes are given: the store, the settings, the id in the path, a client's key."""

from typing import Annotated, cast

from fastapi import Depends, Header, Path, Request

from service.news import News
from service.settings import Settings
from service.store import Store


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


def _news(request: Request) -> News:
    return cast(News, request.app.state.news)


StoreGiven = Annotated[Store, Depends(_store)]
SettingsGiven = Annotated[Settings, Depends(_settings)]
NewsGiven = Annotated[News, Depends(_news)]
StudyId = Annotated[str, Path(description="The study's id.", examples=["00063f7ac1d3e8a1b2c3"])]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key with the same body is the same study; 422 else."),
]
