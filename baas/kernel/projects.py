"""Projects: the tenants of an installation. Everything else belongs to one."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import orjson
from django.db import IntegrityError, transaction

from baas.kernel import config_cache, db, ids
from baas.kernel.models import Project, SecretKey
from baas.kernel.problems import Conflict, FieldError, Invalid, NotFound

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig:
    """What every request needs to know of its project; cached per process."""

    NONE: ClassVar["ProjectConfig"]

    id: int
    slug: str
    settings: dict[str, Any] = field(default_factory=dict)


ProjectConfig.NONE = ProjectConfig(id=0, slug="")

DeleteHook = Callable[[int], None]
_delete_hooks: list[DeleteHook] = []


def on_delete(hook: DeleteHook) -> DeleteHook:
    """Register what a room does when a project goes: called with its id, in the transaction.

    What cannot be rolled back (bytes in an object store) belongs into `transaction.on_commit`.
    """
    _delete_hooks.append(hook)
    return hook


CreateHook = Callable[[int], None]
_create_hooks: list[CreateHook] = []


def on_create(hook: CreateHook) -> CreateHook:
    """Register what a room does when a project is made: called with its id, in the transaction."""
    _create_hooks.append(hook)
    return hook


def key_hash(token: str) -> bytes:
    """Keys and tokens have 256 random bits, so a plain hash is enough to keep them."""
    return hashlib.sha256(token.encode()).digest()


def _load(_project_id: int, slug: str) -> ProjectConfig | None:
    row = db.fetch_one("SELECT id, settings::text FROM kernel_project WHERE slug = %s", (slug,))
    if row is None:
        return None
    return ProjectConfig(id=row[0], slug=slug, settings=orjson.loads(row[1]))


# Slugs are looked up before the project's id is known: they live under the id 0.
_by_slug = config_cache.ConfigCache("project", _load)


def by_slug(slug: str) -> ProjectConfig:
    """Raises NotFound `project_not_found`."""
    project = _by_slug.get(0, slug) if SLUG.fullmatch(slug) else None
    if project is None:
        raise NotFound(
            f"There is no project {slug[:60]!r}: check the address.", code="project_not_found"
        )
    return project


@transaction.atomic
def create(*, slug: str, name: str) -> tuple[Project, str]:
    """Make a project. Returns it with its secret key, which is not readable again.

    Raises Invalid for a bad slug and Conflict `project_exists` for a taken one.
    """
    if not SLUG.fullmatch(slug):
        raise Invalid(
            "The slug must have 3 to 40 characters of a-z, 0-9 and -, not at its ends.",
            errors=[FieldError("slug", "invalid", "3-40 of a-z0-9-, no - at the ends")],
        )
    try:
        with transaction.atomic():
            project = Project.objects.create(
                slug=slug, name=name or slug, publishable_key=ids.new_secret("pk_")
            )
    except IntegrityError as error:
        raise Conflict(
            f"A project {slug!r} exists already: choose another slug.", code="project_exists"
        ) from error
    secret = _new_key(project)
    for hook in _create_hooks:
        hook(project.id)
    config_cache.changed(0)
    return project, secret


def _new_key(project: Project) -> str:
    secret = ids.new_secret("sk_")
    SecretKey.objects.create(project=project, public_id=ids.new_id(), key_hash=key_hash(secret))
    return secret


def get(slug: str) -> Project:
    """Raises NotFound `project_not_found`."""
    by_slug(slug)
    try:
        return Project.objects.get(slug=slug)
    except Project.DoesNotExist as error:
        raise NotFound(f"There is no project {slug!r}.", code="project_not_found") from error


@transaction.atomic
def update(project: Project, *, name: str | None, settings: dict[str, Any] | None) -> Project:
    """Change the name, or merge settings (a null removes one)."""
    if name is not None:
        project.name = name
    if settings is not None:
        merged = {**project.settings, **settings}
        project.settings = {k: v for k, v in merged.items() if v is not None}
    project.save()
    config_cache.changed(0)
    config_cache.changed(project.id)
    return project


@transaction.atomic
def rotate_keys(project: Project) -> str:
    """Replace the secret and publishable keys; the old ones end at once. Returns the new secret."""
    SecretKey.objects.filter(project=project).delete()
    project.publishable_key = ids.new_secret("pk_")
    project.save()
    config_cache.changed(project.id)
    return _new_key(project)


@transaction.atomic
def delete(project: Project) -> None:
    """Remove the project with everything that the rooms keep for it, and its events."""
    project_id = project.id
    db.unlimited()
    for hook in _delete_hooks:
        hook(project_id)
    db.execute("DELETE FROM kernel_event WHERE project_id = %s", (project_id,))
    project.delete()
    config_cache.changed(0)
    config_cache.changed(project_id)
