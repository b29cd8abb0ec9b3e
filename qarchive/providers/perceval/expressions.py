"""Formulas of Perceval's: which texts may be handed to its parser, and sympy's trees <-> lists.

Perceval reads a formula with sympy's `sympify`, which evaluates it as Python: a stored circuit could run any code. So a formula
is parsed here first, and only numbers, names, arithmetic and functions of a closed list are let through.
"""

import ast
import math
from typing import Any

from ...errors import BadInput, NotCanonical, NotEncodable
from ...values import Typed
from ..sdk import sdk

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc asin acos atan atan2 acot sinh cosh tanh coth asinh acosh atanh exp log ln sqrt cbrt Abs sign re im"
    " arg conjugate Min Max".split()
)
_CONSTANTS = {"Pi": "pi", "Exp1": "E", "ImaginaryUnit": "I", "Infinity": "oo", "NegativeInfinity": "-oo", "NaN": "nan"}
_TREES = FUNCTIONS | {"Add", "Mul", "Pow"}
_MOST_CHARACTERS, _MOST_NESTED, _LARGEST_POWER = 20_000, 200, 4096.0
_NEVER = "#\\\n\r\f'\"`;"  # sympy takes lines together before it reads, so a comment could end elsewhere than for us
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.BitXor)


def check_formula(text: str) -> None:
    """Raises BadInput for a text that sympy must not be given."""
    if len(text) > _MOST_CHARACTERS:
        raise _refused(text, f"longer than {_MOST_CHARACTERS} characters")
    if any(character in text for character in _NEVER):
        raise _refused(text, "not arithmetic")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree, text, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(text, "not arithmetic") from None


def check_name(text: str) -> None:
    """Raises BadInput for the name of a parameter that sympy would take for a range of names."""
    if ":" in text or len(text) > _MOST_CHARACTERS:
        raise _refused(text, "not the name of one parameter")


def _refused(text: str, reason: str) -> BadInput:
    short = text if len(text) <= 80 else text[:80] + "..."
    return BadInput(f"the stored formula {short!r}", f"{reason}, and Perceval would evaluate it as Python")


def _check(node, text, depth) -> None:
    if depth > _MOST_NESTED:
        raise _refused(text, "nested too deep")
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        if isinstance(node.op, ast.Pow | ast.BitXor) and not _power(node) <= _LARGEST_POWER:
            raise _refused(text, "a power too large")
        inside = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        inside = [node.operand]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords:
        inside = node.args
    elif isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        inside = []
    else:
        raise _refused(text, "not arithmetic of numbers, names and known functions")
    for part in inside:
        _check(part, text, depth + 1)


def _power(node) -> float:
    """A bound of the powers that sympy might work out: of nested ones the product."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow | ast.BitXor):
            return max(1.0, _power(node.left)) * max(1.0, _most(node.right))
        return max(_power(node.left), _power(node.right))
    if isinstance(node, ast.UnaryOp):
        return _power(node.operand)
    if isinstance(node, ast.Call):
        return max(map(_power, node.args), default=1.0)
    return 1.0


def _most(node) -> float:
    """A bound of the absolute value of an exponent whose names stand for at most 1."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return abs(float(node.value)) if abs(node.value) < 1e300 else math.inf
    if isinstance(node, ast.UnaryOp):
        return _most(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _most(node.left), _most(node.right)
        if isinstance(node.op, ast.Add | ast.Sub):
            return left + right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div) and isinstance(node.right, ast.Name | ast.Constant):
            return left / right if right else math.inf
        return math.inf
    return (
        1.0 if isinstance(node, ast.Name) else max(map(_most, node.args), default=1.0) if isinstance(node, ast.Call) else math.inf
    )


# Trees


def pack_tree(value: Any) -> Any:
    """An expression of sympy's: a number, text (a symbol that is real), or a list of a function and its arguments."""
    sympy = sdk("sympy", "a formula", "perceval")
    kind = type(value).__name__
    if value.is_Integer:
        return int(value)
    if kind == "Float" and value._prec == 53:
        return float(value)
    if value.is_Rational:
        return ["Rational", int(value.p), int(value.q)]
    if value.is_Symbol:
        for name, assumptions in (("real", {"real": True}), ("any", {})):
            if value == sympy.Symbol(value.name, **assumptions):
                return value.name if name == "real" else ["Symbol", value.name]
    if kind in _CONSTANTS:
        return [_CONSTANTS[kind]]
    if kind in _TREES or value.func is sympy.exp:
        return [kind, *map(pack_tree, value.args)]
    raise NotEncodable(f"a formula with {kind}")


def unpack_tree(tree: Any) -> Any:
    """The expression again. Raises NotCanonical for a list that is none."""
    sympy = sdk("sympy", "a formula", "perceval")
    if type(tree) is int:
        return sympy.Integer(tree)
    if type(tree) is float:
        return sympy.Float(tree)
    if type(tree) is str:
        return sympy.Symbol(tree, real=True)
    name, *parts = tree
    if name == "Symbol":
        return sympy.Symbol(parts[0])
    if name == "Rational":
        return sympy.Rational(*parts)
    if name in _CONSTANTS.values() and not parts:
        return {"pi": sympy.pi, "E": sympy.E, "I": sympy.I, "oo": sympy.oo, "-oo": -sympy.oo, "nan": sympy.nan}[name]
    if name not in _TREES:
        raise NotCanonical(f"a formula with {name!r}")
    return getattr(sympy, name)(*map(unpack_tree, parts))


def tree_text(tree: Any) -> str:
    """A tree for people, without sympy."""
    if type(tree) is not list:
        return str(tree)
    name, *parts = tree
    if name == "Symbol":
        return parts[0]
    inside = list(map(tree_text, parts))
    signs = {"Add": " + ", "Mul": "*", "Pow": "**", "Rational": "/"}
    if name in signs:
        return f"({signs[name].join(inside)})"
    return f"{name}({', '.join(inside)})" if inside else name


def pack_symbols(value: Any) -> Typed:
    """A symbolic matrix: its rows of expressions."""
    rows, columns = value.shape
    return Typed("perceval.SymbolicMatrix", [[pack_tree(value[row, column]) for column in range(columns)] for row in range(rows)])


def unpack_symbols(rows: list, whole) -> Any:
    trees = [list(map(unpack_tree, row)) for row in rows]
    return sdk("perceval", "a matrix", "perceval").Matrix(sdk("sympy").Matrix(trees), use_symbolic=True)


def read_symbols(rows: list, read) -> list:
    return [list(map(tree_text, row)) for row in rows]
