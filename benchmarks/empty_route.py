"""A FastAPI service with one route that does nothing, as a baseline for the time of a request.

Usage: uvicorn empty_route:app --port PORT
"""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def empty() -> dict[str, str]:
    """Return an empty object."""
    return {}
