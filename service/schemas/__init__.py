"""Request and answer models that service and client share."""
