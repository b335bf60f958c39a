"""First start of a deployment: creates the tables and an admin's key, and explains the next steps."""

from datetime import datetime

from service.auth.keys import open_api_keys
from service.roles import Role
from service.settings import Settings

_ADMIN_NAME = "admin"


def initialize(settings: Settings, now: datetime) -> str:
    """Create the tables and, if no admin has a key, one for `admin`; return the message to print.

    Args:
        settings: The deployment's settings.
        now: The current time.

    Raises:
        ForeignDatabaseError: The database belongs to a newer version, or to another service.
        UnreachableError: The database does not answer.
    """
    with open_api_keys(settings) as keys:
        admins = [row for row in keys.list_keys() if row.role is Role.ADMIN and row.revoked_at is None]
        if admins:
            return (
                f"Set up already: {admins[0].name} has the admin key {admins[0].id}. If it is lost, make another one:\n"
                f"  docker compose exec api l4-studies keys create --name {_ADMIN_NAME} --role admin"
            )
        key = keys.create(_ADMIN_NAME, Role.ADMIN, now)
    return (
        f"The key of {_ADMIN_NAME}, shown this once:\n\n  {key}\n\n"
        "Next:\n"
        "  start everything   docker compose up -d --wait, with --profile gpu-node where this machine trains on GPUs\n"
        "  from a browser     open what LISTEN says, http://localhost:8440 if nothing, and log in with the key\n"
        "  from a terminal    docker compose exec -T -e L4_API_KEY=KEY api l4-studies submit /dev/stdin < study.yaml,\n"
        "                     or elsewhere, where the package is installed, with L4_URL and L4_API_KEY\n"
        "  for others         docker compose exec api l4-studies keys create --name NAME --role submitter"
    )
