"""The database: engine, tables, migrations and repositories."""
