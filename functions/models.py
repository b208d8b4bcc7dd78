"""What the functions room keeps: versions of code, who may trigger it, and the ledger of its runs.

The configuration goes through the ORM; `Delivery`, `Invocation` and `LogLine` are written by the
SQL in `events/ledger.py` and `records.py` and have no foreign keys (a check for each insert).
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

PROJECT = "kernel.Project"


class Function(models.Model):
    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    last_version = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "functions_function"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="function_name")]

    def __str__(self) -> str:
        return self.name


class Version(models.Model):
    """One deployed version: code and configuration, never changed afterwards."""

    function = models.ForeignKey(Function, on_delete=models.CASCADE, related_name="versions")
    number = models.IntegerField()
    digest = models.TextField()  # SHA-256 of the package
    runtime = models.TextField()  # the exact one: python3.11
    handler = models.TextField()
    signature = models.TextField()
    timeout_s = models.FloatField()
    memory_mb = models.IntegerField()
    max_concurrency = models.IntegerField()
    min_instances = models.IntegerField()
    isolation = models.TextField()
    sealed_env = models.BinaryField()
    secret_names = models.JSONField()
    invoke_rule = models.TextField()
    acts_as = (
        models.TextField()
    )  # caller, service or "" (callers' calls: caller, triggers: service)
    egress = models.JSONField()
    state = models.TextField()  # ready or failed
    build_log = models.TextField(default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "functions_version"
        constraints = [
            models.UniqueConstraint(fields=["function", "number"], name="version_number")
        ]

    def __str__(self) -> str:
        return f"{self.function_id}@{self.number}"


class Alias(models.Model):
    function = models.ForeignKey(Function, on_delete=models.CASCADE, related_name="aliases")
    name = models.TextField()
    weights = models.JSONField()  # {"<version>": relative weight}

    class Meta:
        db_table = "functions_alias"
        constraints = [models.UniqueConstraint(fields=["function", "name"], name="alias_name")]

    def __str__(self) -> str:
        return self.name


class Secret(models.Model):
    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    sealed_value = models.BinaryField()
    digest = models.TextField()  # keyed: tells equal values apart from changed ones, no more
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "functions_secret"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="secret_name")]

    def __str__(self) -> str:
        return self.name


class Trigger(models.Model):
    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    function = models.ForeignKey(Function, on_delete=models.PROTECT, related_name="triggers")
    alias = models.TextField()
    source = models.JSONField()
    filter = models.TextField(default="")
    max_attempts = models.SmallIntegerField()
    max_age_s = models.IntegerField()
    backoff_s = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "functions_trigger"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="trigger_name")]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One (event, trigger) pair, or one asynchronous call, until it succeeded or died.

    Its id is the id of the invocation, the same in every attempt.
    """

    id = models.TextField(primary_key=True)
    project_id = models.BigIntegerField()
    function_id = models.BigIntegerField()
    function = models.TextField()
    alias = models.TextField()
    version = models.IntegerField(null=True)  # asked for by number
    origin = models.TextField()  # trigger:{name}, or the caller's identity
    trigger_id = models.BigIntegerField(null=True)
    event_seq = models.BigIntegerField(null=True)
    event_time = models.DateTimeField(null=True)  # names the partition
    event_type = models.TextField(null=True)  # noqa: DJ001 - asynchronous calls have none
    subject = models.TextField(null=True)  # noqa: DJ001
    # The input as JSON text: of asynchronous calls from the start; of events only once dead,
    # because the log, which has it, is dropped by age.
    payload = models.TextField(null=True)  # noqa: DJ001
    caller = models.JSONField(null=True)  # `auth` of an asynchronous caller
    bypasses_rules = models.BooleanField(db_default=False)
    depth = models.SmallIntegerField()  # of the run: what it writes gets this depth
    traceparent = models.TextField()
    state = models.TextField()  # pending, running, succeeded, dead
    due_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    epoch = models.IntegerField(db_default=0)  # +1 with each lease; only the current one settles
    started_epoch = models.IntegerField(db_default=0)  # the lease that began to run
    attempts = models.SmallIntegerField(db_default=0)  # starts since the (re)drive
    max_attempts = models.SmallIntegerField()
    backoff_s = models.FloatField()
    max_age_s = models.IntegerField()
    expires_at = models.DateTimeField()
    reason = models.TextField(null=True)  # noqa: DJ001 - why it is dead
    errors = models.JSONField(null=True)  # the latest failures, oldest first
    created_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "functions_delivery"
        constraints = [
            models.UniqueConstraint(
                fields=["event_seq", "trigger_id"],
                name="delivery_once",
                condition=Q(trigger_id__isnull=False),
            )
        ]
        indexes = [
            models.Index(
                fields=["project_id", "due_at"], name="delivery_due", condition=Q(state="pending")
            ),
            models.Index(
                fields=["lease_until", "project_id"],
                name="delivery_leased",
                condition=Q(state="running"),
            ),
            models.Index(
                fields=["project_id", "id"], name="delivery_dead", condition=Q(state="dead")
            ),
            models.Index(fields=["project_id", "id"], name="delivery_project"),
        ]

    def __str__(self) -> str:
        return self.id


class Tally(models.Model):
    """Counters of the ledger as increments (no hot row); summed up from time to time."""

    name = models.TextField()  # accepted, succeeded, discarded
    delta = models.BigIntegerField()

    class Meta:
        db_table = "functions_tally"

    def __str__(self) -> str:
        return f"{self.name} {self.delta:+}"


class Invocation(models.Model):
    """One run that ended: one row per attempt."""

    pk = models.CompositePrimaryKey("id", "attempt")
    id = models.TextField()
    attempt = models.SmallIntegerField()
    project_id = models.BigIntegerField()
    function_id = models.BigIntegerField()
    function = models.TextField()
    version = models.IntegerField()
    origin = models.TextField()  # trigger:{name}, or the caller's identity
    outcome = models.TextField()  # RunResult.outcome
    result = models.TextField(null=True)  # noqa: DJ001 - JSON text, of asynchronous calls
    error = models.JSONField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField()
    duration_ms = models.FloatField()
    billed_ms = models.IntegerField()
    memory_mb = models.IntegerField()  # the limit: what is billed
    max_memory_mb = models.FloatField()
    cold = models.BooleanField()
    trace_id = models.TextField()

    class Meta:
        db_table = "functions_invocation"
        indexes = [models.Index(fields=["function_id", "id"], name="invocation_function")]

    def __str__(self) -> str:
        return self.id


class LogLine(models.Model):
    project_id = models.BigIntegerField()
    function_id = models.BigIntegerField()
    version = models.IntegerField()
    invocation_id = models.TextField()
    time = models.DateTimeField()
    level = models.TextField()
    message = models.TextField()

    class Meta:
        db_table = "functions_logline"
        indexes = [
            models.Index(fields=["function_id", "id"], name="logline_function"),
            models.Index(fields=["invocation_id"], name="logline_invocation"),
            models.Index(fields=["time"], name="logline_time"),
        ]

    def __str__(self) -> str:
        return self.message
