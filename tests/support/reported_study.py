"""A study that has ended with a report, put into the database as a driver would, its outcome planted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.repositories.studies import Store
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.validation.resolver import resolve
from tests.support.planted_studies import Planted, planted_rows, provenance

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARMS: Mapping[str, tuple[Planted, dict[str, Any]]] = {
    "l4adam": (Planted(log_loss=-3.0), {}),
    "adam": (Planted(log_loss=-2.5, best_lr=0.03), {"search": {"lr": {"low": 1e-4, "high": 1.0}}}),
    "sgd": (Planted(log_loss=-2.0, best_lr=0.03), {"search": {"lr": {"low": 1e-4, "high": 1.0}}}),
}


def add_reported_study(store: Store, *names: str, **protocol: object) -> str:
    """Add a study with a report, and return its id.

    Args:
        store: The database.
        names: Some of `ARMS`.
        protocol: Further fields of its protocol.
    """
    body = {
        "name": f"Study of {names[-1]}",
        "workloads": [{"name": "digits_mlp", "steps": 200}],
        "arms": [{"name": name, **ARMS[name][1]} for name in names],
        "protocol": {"trials": 5, "confirm_seeds": 6, **protocol},
    }
    spec = resolve(body, build_catalogue())
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    rows = planted_rows(spec, {name: ARMS[name][0] for name in names})
    ledger.add_plan(rows.trials, [replace(pack, done=False, seconds=None) for pack in rows.packs])
    for pack in rows.packs:
        ledger.finish_pack(pack, [run for run in rows.runs if run.pack == pack.number])
    stored = ledger.rows(series=True)
    ledger.save_report(render(build_report(spec, stored, provenance(spec, study_id)), stored))
    store.transition(study_id, State.SUCCEEDED, "")
    return study_id
