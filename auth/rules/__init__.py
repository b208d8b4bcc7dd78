"""Rules: CEL expressions that say what a caller may do. Pure: no Django, no I/O.

rule = compile_rule("doc.public == true || doc._owner == auth.uid", DOCUMENT_ROOTS)
rule.allows(auth=auth, doc=document)                            # one document
rule.to_sql(document_bindings("d"), auth=auth)                  # the WHERE of a list
rule.explain(auth=auth, doc=document)                           # (False, "doc.public …")
"""

from auth.rules.bindings import Bindings, document_bindings, object_bindings
from auth.rules.errors import RuleError, RuleNotCompilable, RuleSyntaxError
from auth.rules.predicate import GetDocument
from auth.rules.presets import PRESETS
from auth.rules.rule import (
    DOCUMENT_ROOTS,
    FUNCTION_ROOTS,
    OBJECT_ROOTS,
    Rule,
    compile_rule,
)

__all__ = [
    "DOCUMENT_ROOTS",
    "FUNCTION_ROOTS",
    "OBJECT_ROOTS",
    "PRESETS",
    "Bindings",
    "GetDocument",
    "Rule",
    "RuleError",
    "RuleNotCompilable",
    "RuleSyntaxError",
    "compile_rule",
    "document_bindings",
    "object_bindings",
]
