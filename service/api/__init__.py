"""The HTTP API: request parsing, authorization, answers, and the problems it reports."""
