"""A FastAPI service with one route that does nothing: what there is to compare a request with.

Usage: uvicorn empty_route:app --port PORT
"""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def empty() -> dict[str, str]:
    """Answer."""
    return {}
