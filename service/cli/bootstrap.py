"""The first start of a deployment: its tables, an admin's key, and what to do next."""

from datetime import datetime

from service.auth.keys import open_api_keys
from service.roles import Role
from service.settings import Settings

_NAME = "admin"


def initialize(settings: Settings, now: datetime) -> str:
    """Make the tables and, where no admin has a key, one for `admin`; return what to tell who asked for it.

    Args:
        settings: The deployment's.
        now: The present time.

    Raises:
        ForeignDatabaseError: The database is of a newer version, or not of this service.
        UnreachableError: It does not answer.
    """
    with open_api_keys(settings) as keys:
        admins = [row for row in keys.list_keys() if row.role is Role.ADMIN and row.revoked_at is None]
        if admins:
            return (
                f"Set up already: {admins[0].name} has the admin key {admins[0].id}. If it is lost, make another one:\n"
                f"  docker compose exec api l4-studies keys create --name {_NAME} --role admin"
            )
        key = keys.create(_NAME, Role.ADMIN, now)
    return (
        f"The key of {_NAME}, shown this once:\n\n  {key}\n\n"
        "Next:\n"
        "  start everything   docker compose up -d --wait, with --profile gpu-node where this machine trains on GPUs\n"
        "  from a browser     open what LISTEN says, http://localhost:8440 if nothing, and log in with the key\n"
        "  from a terminal    docker compose exec -T -e L4_API_KEY=KEY api l4-studies submit /dev/stdin < study.yaml,\n"
        "                     or elsewhere, where the package is installed, with L4_URL and L4_API_KEY\n"
        "  for others         docker compose exec api l4-studies keys create --name NAME --role submitter"
    )
