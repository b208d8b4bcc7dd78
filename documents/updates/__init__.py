"""Updates: `parse` reads MongoDB's operators or a merge patch, `apply` carries them out. Pure."""

from documents.updates.apply import Occasion, apply
from documents.updates.ast import MergePatch, Operators, Replacement, Update
from documents.updates.parser import parse

__all__ = ["MergePatch", "Occasion", "Operators", "Replacement", "Update", "apply", "parse"]
