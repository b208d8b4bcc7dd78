"""The grammar of CEL expressions, for lark's LALR parser.

Message construction (`Type{field: value}`) and names with a leading dot are left out: rules
have no types of their own and no packages.
"""

from __future__ import annotations

from typing import Final

GRAMMAR: Final = r"""
start: expr

?expr: either
     | either "?" either ":" expr                    -> choice
?either: both
       | either OR both                              -> logic
?both: relation
     | both AND relation                             -> logic
?relation: sum
         | relation (RELATION | IN) sum              -> compare
?sum: product
    | sum (PLUS | MINUS) product                     -> arithmetic
?product: unary
        | product (STAR | SLASH | PERCENT) unary     -> arithmetic
?unary: member
      | BANG+ member                                 -> negation
      | MINUS+ member                                -> minus
?member: primary
       | member "." selector                         -> select
       | member "." selector "(" [arguments] ")"     -> receiver_call
       | member "[" expr "]"                         -> index
?primary: literal
        | IDENT                                      -> name
        | IDENT "(" [arguments] ")"                  -> global_call
        | "(" expr ")"                               -> group
        | LSQB [arguments ","?] "]"                 -> list_of
        | LBRACE [entries ","?] "}"                 -> map_of

selector: IDENT
arguments: expr | arguments "," expr
entries: entry | entries "," entry
entry: expr ":" expr

?literal: INT                                        -> integer
        | UINT                                       -> unsigned
        | FLOAT                                      -> decimal
        | STRING                                     -> string
        | BYTES                                      -> octets
        | TRUE                                       -> true
        | FALSE                                      -> false
        | NULL                                       -> null

OR: "||"
AND: "&&"
RELATION: "==" | "!=" | "<=" | ">=" | "<" | ">"
IN: "in"
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
BANG: "!"
LSQB: "["
LBRACE: "{"
TRUE: "true"
FALSE: "false"
NULL: "null"
FLOAT.4: /[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+/
UINT.3: /(?:0x[0-9a-fA-F]+|[0-9]+)[uU]/
INT.2: /0x[0-9a-fA-F]+|[0-9]+/
BYTES.6: /[bB](?:[rR](?:"{3}[\s\S]*?"{3}|'{3}[\s\S]*?'{3}|"[^"\r\n]*"|'[^'\r\n]*')|"{3}(?:[^\\]|\\[\s\S])*?"{3}|'{3}(?:[^\\]|\\[\s\S])*?'{3}|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')/
STRING.5: /[rR](?:"{3}[\s\S]*?"{3}|'{3}[\s\S]*?'{3}|"[^"\r\n]*"|'[^'\r\n]*')|"{3}(?:[^\\]|\\[\s\S])*?"{3}|'{3}(?:[^\\]|\\[\s\S])*?'{3}|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'/
IDENT: /[_a-zA-Z][_a-zA-Z0-9]*/

BLANK: /[ \t\r\n\f]+/
COMMENT: /\/\/[^\r\n]*/
%ignore BLANK
%ignore COMMENT
"""  # noqa: E501 - a terminal cannot be broken over lines
