"""The tables of the room. Written and read with SQL (`users`, `sessions`, `signing_keys`).

Projects are deleted by `projects.on_delete` (see `auth.apps`), so the keys need no cascade here.
"""

from django.db import models

from baas.kernel.models import Project


class User(models.Model):
    """An end user of a project."""

    uid = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, db_index=False)
    email = models.TextField(null=True)  # noqa: DJ001 - null: has none; lower case
    phone = models.TextField(null=True)  # noqa: DJ001 - null: has none
    password_hash = models.TextField(null=True)  # noqa: DJ001 - null: no password
    role = models.TextField(null=True)  # noqa: DJ001 - null: none given
    claims = models.JSONField(default=dict)  # set by the project, carried in access tokens
    data = models.JSONField(default=dict)  # the user's own profile
    anonymous = models.BooleanField(default=False)
    banned = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    last_sign_in_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "email"], name="baas_auth_user_email"),
            models.UniqueConstraint(fields=["project", "phone"], name="baas_auth_user_phone"),
            # How lists page through a project's users, newest last.
            models.UniqueConstraint(fields=["project", "uid"], name="baas_auth_user_page"),
        ]

    def __str__(self) -> str:
        return self.uid


class Identity(models.Model):
    """One way in which a user signs in."""

    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, db_index=False)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="identities")
    provider = models.TextField()  # password, wechat, github …
    subject = models.TextField()  # the provider's id of the user; the uid for passwords
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "provider", "subject"], name="baas_auth_identity_subject"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider}:{self.subject}"


class Session(models.Model):
    """A sign-in on one device, with its family of refresh tokens (see `refresh_tokens`)."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="sessions")
    provider = models.TextField()
    secret = models.BinaryField()  # part of what proves that a refresh token is ours
    generation = models.IntegerField(default=0)  # of the refresh token that is in force
    rotated_at = models.DateTimeField()
    ip = models.TextField()
    user_agent = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)  # moved on by each refresh
    revoked_at = models.DateTimeField(null=True)
    revoked_because = models.TextField(null=True)  # noqa: DJ001 - sign_out, reuse, ban, password

    def __str__(self) -> str:
        return self.id


class SigningKey(models.Model):
    """A key that signs a project's access tokens; one is in force, retired ones still verify."""

    kid = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, db_index=False)
    public_key = models.BinaryField()  # DER, SubjectPublicKeyInfo
    private_key = models.BinaryField()  # DER, PKCS #8, encrypted
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(retired_at__isnull=True),
                name="baas_auth_signingkey_in_force",
            )
        ]
        indexes = [models.Index(fields=["project", "created_at"], name="baas_auth_signingkey_all")]

    def __str__(self) -> str:
        return self.kid


class FailedSignIn(models.Model):
    """How often a sign-in failed for one account from one address (see `lockout`)."""

    scope = models.BinaryField(primary_key=True)  # hash of project, account and address
    failures = models.IntegerField()
    began_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failures}"
