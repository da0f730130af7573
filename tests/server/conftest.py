"""A server for each test, on SQLite and files, and on PostgreSQL and S3."""

from tests.services import postgres, s3_credentials, seaweed, server, small_server

__all__ = ["postgres", "s3_credentials", "seaweed", "server", "small_server"]
