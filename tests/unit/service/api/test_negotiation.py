"""Accept headers, as RFC 9110 has them."""

import pytest

from service.api.negotiation import preferred_media_type

OFFERED = ("application/json", "text/html", "text/csv")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/HTML", "text/html"),
        ("text/*", "text/html"),
        ("text/csv;q=0.2, text/html;q=0.1", "text/csv"),
        ("text/html;q=0.5, */*;q=0.9", "application/json"),
        ("text/html;level=1;q=0.7", "text/html"),
        ("application/json;q=0, */*;q=0.1", "text/html"),
        ("text/html, application/json", "application/json"),
        ("image/png", None),
        ("text/html;q=0", None),
        ("text/html;q=2", None),
        ("text/html;q=x", None),
        (";;,,q", None),
    ],
)
def test_the_best_accepted_media_type_is_taken(accept: str, expected: str | None) -> None:
    assert preferred_media_type(accept, OFFERED) == expected
