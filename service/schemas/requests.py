"""Which text can be looked for in the database."""

#: PostgreSQL holds no text with a NUL, and refuses to look for one.
NO_NUL = r"^[^\x00]*$"
