"""Updates: `parse` reads MongoDB's operators or a merge patch, `apply` carries them out. Pure."""

from documents.updates.apply import apply
from documents.updates.ast import MergePatch, Update
from documents.updates.parser import parse

__all__ = ["MergePatch", "Update", "apply", "parse"]
