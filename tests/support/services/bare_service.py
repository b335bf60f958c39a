"""A FastAPI application with one route, which imports what the HTTP process imports and none of this project.

Usage: python bare_service.py PORT
"""

import sys

# the libraries alone: what they take to import is not this project's to save
import alembic  # pyright: ignore[reportUnusedImport]  # noqa: F401
import httpx  # pyright: ignore[reportUnusedImport]  # noqa: F401
import jinja2  # pyright: ignore[reportUnusedImport]  # noqa: F401
import prometheus_client  # pyright: ignore[reportUnusedImport]  # noqa: F401
import pydantic_settings  # pyright: ignore[reportUnusedImport]  # noqa: F401
import sqlalchemy  # pyright: ignore[reportUnusedImport]  # noqa: F401
import uvicorn
import yaml  # pyright: ignore[reportUnusedImport]  # noqa: F401
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def health() -> dict[str, str]:
    """Answer."""
    return {}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
