"""The changes of the database's tables, one file each in `versions`, as Alembic runs them."""
