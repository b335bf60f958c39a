"""The first start of a deployment: one admin key, once."""

import re
from datetime import UTC, datetime
from pathlib import Path

from service.auth.keys import open_api_keys
from service.cli.bootstrap import initialize
from service.roles import Role
from service.settings import Settings

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_first_one_makes_an_admins_key_and_the_next_none(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (key,) = re.findall(r"l4_[0-9a-f]+_[0-9a-f]+", initialize(settings, NOW))
    with open_api_keys(settings) as keys:
        caller = keys.authenticate(f"Bearer {key}")
        assert (caller.name, caller.role) == ("admin", Role.ADMIN)
        again = initialize(settings, NOW)
        assert caller.key_id is not None
        assert caller.key_id in again
        assert key not in again
        assert len(keys.list_keys()) == 1
        keys.revoke(caller.key_id, NOW)
    assert re.search(r"l4_[0-9a-f]+_[0-9a-f]+", initialize(settings, NOW))
