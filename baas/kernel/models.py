"""What the platform itself keeps: operators, their tokens, projects, keys, first replies."""

from django.db import models


class Operator(models.Model):
    """A person who runs this installation."""

    email = models.EmailField(unique=True)
    password_hash = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.email


class PersonalAccessToken(models.Model):
    """A `pat_…` bearer token of an operator; only its SHA-256 is kept."""

    operator = models.ForeignKey(Operator, on_delete=models.CASCADE, related_name="tokens")
    public_id = models.TextField(unique=True)
    name = models.TextField()
    token_hash = models.BinaryField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    slug = models.TextField(unique=True)
    name = models.TextField()
    publishable_key = models.TextField(unique=True)
    settings = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.slug


class SecretKey(models.Model):
    """A `sk_…` bearer key of a project; only its SHA-256 is kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="secret_keys")
    public_id = models.TextField(unique=True)
    key_hash = models.BinaryField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)  # set by a rotation with a grace time

    def __str__(self) -> str:
        return self.public_id


class FirstReply(models.Model):
    """The reply that an Idempotency-Key got, kept for 24 hours."""

    scope = models.BinaryField(primary_key=True)  # hash of project, caller, path and key
    body_hash = models.BinaryField()
    status = models.SmallIntegerField()
    headers = models.JSONField()
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.status}"
