"""Servers and teams for the tests of the client."""

from tests.cloud.team import small_team, team
from tests.services import postgres, s3_credentials, seaweed, server, small_server

__all__ = ["postgres", "s3_credentials", "seaweed", "server", "small_server", "small_team", "team"]
