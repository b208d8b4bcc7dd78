"""What goes when a project goes."""

import logging
from typing import Final

from django.db import transaction

from baas.kernel import db
from functions import hosting, packages
from functions.models import Trigger
from functions.runner import HostUnreachableError
from storage.backends import StoreError

logger = logging.getLogger(__name__)

# What was accepted leaves the books in the same statement, as if it had been purged.
_DELIVERIES: Final = b"""
WITH gone AS (DELETE FROM functions_delivery WHERE project_id = %s RETURNING state)
INSERT INTO functions_tally (name, delta)
SELECT 'discarded', count(*) FROM gone WHERE state <> 'succeeded' HAVING count(*) > 0
"""
_LOGS: Final = b"DELETE FROM functions_logline WHERE project_id = %s"
_RUNS: Final = b"DELETE FROM functions_invocation WHERE project_id = %s"


def delete_project(project_id: int) -> None:
    """Remove all rows of the project; after the commit its packages and running instances."""
    Trigger.objects.filter(project_id=project_id).delete()  # they protect their functions
    for statement in (_DELIVERIES, _LOGS, _RUNS):
        db.execute(statement, (project_id,))
    transaction.on_commit(lambda: _forget(project_id), robust=True)


def _forget(project_id: int) -> None:
    try:
        hosting.runner().forget(str(project_id))
    except HostUnreachableError as error:
        # Its cache is keyed by project and ends with it; nothing can call the functions any more.
        logger.warning("the host was not told that project %d is gone: %s", project_id, error)
    try:
        packages.forget(project_id)
    except StoreError as error:
        logger.warning("packages of project %d are left behind: %s", project_id, error)
