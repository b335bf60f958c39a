"""The HTTP API: routes, authorization, request parsing, responses and errors."""
