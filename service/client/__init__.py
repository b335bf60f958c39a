"""A typed client of the HTTP API: `from service.client import Client`."""

from service.client.client import Client

__all__ = ["Client"]
