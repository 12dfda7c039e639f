"""The project's own PostgreSQL database: connect, migrate, named SQL."""

from include.database.connect import DatabaseUnavailable, connect, connect_async, dsn_from_environment
from include.database.migrate import SchemaOutOfDate, SchemaStatus, migrate, require_current, status
from include.database.named_sql import LongStatement, named_sql

__all__ = [
    "DatabaseUnavailable",
    "LongStatement",
    "SchemaOutOfDate",
    "SchemaStatus",
    "connect",
    "connect_async",
    "dsn_from_environment",
    "migrate",
    "named_sql",
    "require_current",
    "status",
]
