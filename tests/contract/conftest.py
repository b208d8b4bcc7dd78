"""The fixtures of an installation inside the test process."""

from tests.installation import (
    client,
    installation,
    make_project,
    migrated,
    operator_token,
    project,
)

__all__ = ["client", "installation", "make_project", "migrated", "operator_token", "project"]
