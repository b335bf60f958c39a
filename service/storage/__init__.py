"""The database: engine, tables, migrations, and everything that reads or writes rows."""
