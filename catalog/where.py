"""One small filter language for both engines: ``cloud < 10 and dtype == "uint16" and start >= "2024-06"``.

Python's syntax, read by `ast` and never evaluated: names are columns, literals are values, with comparisons
(chained as in Python), ``and``, ``or``, ``not``, ``in`` lists, arithmetic, ``is None``, and the functions
``contains``, ``startswith``, ``endswith`` and ``has`` (an element of a list column, ``has(band_names,
"B04")``). ``start`` and ``stop`` are the ends of a row's time; texts compared with times are dates. A missing
value fulfils no comparison.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdal_gndc.catalog.intervals import as_utc
from gdal_gndc.errors import CatalogError

if TYPE_CHECKING:
    import geopandas as gpd

_COMPARE = {ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_PYTHON = {"=": "==", "<>": "!="}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}
_FUNCTIONS = ("contains", "startswith", "endswith", "has")
_TIMES = ("start", "stop", "mtime")


class Expression:
    """A parsed filter, checked against the columns there are.

    Raises
    ------
    CatalogError
        For a syntax that is not part of the language, or a name that is no column.
    """

    def __init__(self, text: str, columns: list[str]) -> None:
        self.text = text
        self.columns = columns
        try:
            self.tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise CatalogError(f"the filter {text!r} cannot be read: {error}") from error

    def mask(self, gdf: gpd.GeoDataFrame) -> np.ndarray:
        """Rows that fulfil the filter, (N,) bool."""
        result = self._evaluate(self.tree, gdf)
        if not isinstance(result, (pd.Series, np.ndarray)):
            raise self._refuse(self.tree, "is not a condition on the rows")
        array = pd.Series(result)
        if array.dtype.kind != "b" and str(array.dtype) != "boolean":
            raise self._refuse(self.tree, "is not a condition: its values are not true or false")
        return np.asarray(array.fillna(False), dtype=bool)

    def sql(self) -> str:
        """The same condition for DuckDB."""
        return self._sql(self.tree)

    def _refuse(self, node: ast.AST, why: str) -> CatalogError:
        part = ast.unparse(node)
        return CatalogError(f"in the filter {self.text!r}: {part!r} {why}")

    def _name(self, node: ast.Name) -> str:
        if node.id not in self.columns:
            raise self._refuse(node, f"is no column; there are {', '.join(self.columns)}")
        return node.id

    def _value(self, node: ast.AST) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError) as error:
            raise self._refuse(node, "is not a plain value") from error

    def _call(self, node: ast.Call) -> tuple[str, str, str]:
        known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        if not known or node.keywords or len(node.args) != 2 or not isinstance(node.args[0], ast.Name):
            raise self._refuse(node, f"is not one of {', '.join(_FUNCTIONS)} of a column and a text")
        assert isinstance(node.func, ast.Name)
        return node.func.id, self._name(node.args[0]), str(self._value(node.args[1]))

    def _operands(self, left: ast.AST, right: ast.AST) -> tuple[ast.AST, ast.AST]:
        """Texts beside a time column become times: the start of a period, or its end where that is what is
        meant."""
        for this, that in ((left, right), (right, left)):
            named = isinstance(this, ast.Name) and this.id in _TIMES
            if named and isinstance(that, ast.Constant) and isinstance(that.value, str):
                moment = ast.Constant(as_utc(that.value))
                return (this, moment) if this is left else (moment, this)
        return left, right

    def _evaluate(self, node: ast.AST, gdf: gpd.GeoDataFrame) -> Any:
        match node:
            case ast.Name():
                return column(gdf, self._name(node))
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple() | ast.Set():
                return list(self._value(node))
            case ast.UnaryOp(op=ast.Not()):
                return ~self._condition(node.operand, gdf)
            case ast.UnaryOp(op=ast.USub()):
                return -self._evaluate(node.operand, gdf)
            case ast.BoolOp():
                parts = [self._condition(v, gdf) for v in node.values]
                join: Callable[..., Any] = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                return join.reduce(parts)  # type: ignore[attr-defined]
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                a, b = self._evaluate(node.left, gdf), self._evaluate(node.right, gdf)
                return _apply(_ARITHMETIC[type(node.op)], a, b)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                steps = zip(sides, node.ops, sides[1:], strict=False)
                return np.logical_and.reduce([self._compare(a, op, b, gdf) for a, op, b in steps])
            case ast.Call():
                function, name, text = self._call(node)
                return _text_test(function, column(gdf, name), text)
        raise self._refuse(node, "is not part of the filter language")

    def _condition(self, node: ast.AST, gdf: gpd.GeoDataFrame) -> np.ndarray:
        value = self._evaluate(node, gdf)
        series = pd.Series(value)
        if not isinstance(value, (pd.Series, np.ndarray)) or series.dtype.kind not in "b":
            raise self._refuse(node, "is not a condition")
        return np.asarray(series.fillna(False), dtype=bool)

    def _compare(self, left: ast.AST, op: ast.cmpop, right: ast.AST, gdf: gpd.GeoDataFrame) -> np.ndarray:
        left, right = self._operands(left, right)
        a = self._evaluate(left, gdf)
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise self._refuse(right, "cannot follow 'is': only None can")
            missing = np.asarray(pd.isna(a), dtype=bool)
            return missing if isinstance(op, ast.Is) else ~missing
        b = self._evaluate(right, gdf)
        if not isinstance(a, (pd.Series, np.ndarray)) and not isinstance(b, (pd.Series, np.ndarray)):
            raise self._refuse(left, f"and {ast.unparse(right)!r} are both no columns")
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(b, list) or not isinstance(a, pd.Series):
                raise self._refuse(right, "is not a list of values to look in for a column")
            inside = np.asarray(a.isin(b), dtype=bool)
            return inside if isinstance(op, ast.In) else np.logical_not(inside | np.asarray(a.isna(), dtype=bool))
        try:
            result = _apply(_COMPARE[type(op)], a, b)
        except TypeError as error:
            raise self._refuse(left, f"cannot be compared with {ast.unparse(right)!r}") from error
        series = pd.Series(result)
        present = ~(np.asarray(pd.isna(a)) | np.asarray(pd.isna(b)))
        mask: np.ndarray = np.asarray(series.fillna(False), dtype=bool) & present
        return mask

    def _sql(self, node: ast.AST) -> str:
        match node:
            case ast.Name():
                return f'"{self._name(node)}"'
            case ast.Constant():
                return quote(node.value)
            case ast.List() | ast.Tuple() | ast.Set():
                return "(" + ", ".join(quote(v) for v in self._value(node)) + ")"
            case ast.UnaryOp(op=ast.Not()):
                return f"(NOT coalesce({self._sql(node.operand)}, false))"
            case ast.UnaryOp(op=ast.USub()):
                return f"(-{self._sql(node.operand)})"
            case ast.BoolOp():
                word = " AND " if isinstance(node.op, ast.And) else " OR "
                return "(" + word.join(f"coalesce({self._sql(v)}, false)" for v in node.values) + ")"
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return f"({self._sql(node.left)} {_ARITHMETIC[type(node.op)]} {self._sql(node.right)})"
            case ast.Compare():
                sides = [node.left, *node.comparators]
                steps = zip(sides, node.ops, sides[1:], strict=False)
                return "(" + " AND ".join(self._sql_compare(a, op, b) for a, op, b in steps) + ")"
            case ast.Call():
                function, name, text = self._call(node)
                if function == "has":
                    return f'list_contains("{name}", {quote(text)})'
                word = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}[function]
                return f'{word}("{name}", {quote(text)})'
        raise self._refuse(node, "is not part of the filter language")

    def _sql_compare(self, left: ast.AST, op: ast.cmpop, right: ast.AST) -> str:
        left, right = self._operands(left, right)
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise self._refuse(right, "cannot follow 'is': only None can")
            return f"({self._sql(left)} IS {'NOT ' if isinstance(op, ast.IsNot) else ''}NULL)"
        if isinstance(op, (ast.In, ast.NotIn)):
            return f"({self._sql(left)} {'NOT ' if isinstance(op, ast.NotIn) else ''}IN {self._sql(right)})"
        return f"({self._sql(left)} {_COMPARE[type(op)]} {self._sql(right)})"


def column(gdf: gpd.GeoDataFrame, name: str) -> pd.Series:
    """A column by name, ``start`` and ``stop`` included, on a plain index."""
    if name in ("start", "stop") and name not in gdf.columns:
        index = gdf.index
        return pd.Series(pd.DatetimeIndex(index.left if name == "start" else index.right))
    return pd.Series(gdf[name].array)


def quote(value: Any) -> str:
    """A Python value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, pd.Timestamp):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def _apply(operator: str, a: Any, b: Any) -> Any:
    match operator:
        case "=":
            return a == b
        case "<>":
            return a != b
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
    return a % b


def _text_test(function: str, values: pd.Series, text: str) -> np.ndarray:
    array = pa.array(values, from_pandas=True)
    if function == "has":
        lists = array if pa.types.is_list(array.type) else pa.array(values, pa.list_(pa.string()))
        flat = pc.equal(pc.list_flatten(lists), text)
        owners = np.asarray(pc.filter(pc.list_parent_indices(lists), flat))
        found = np.zeros(len(values), dtype=bool)
        found[owners] = True
        return found
    array = array.cast(pa.string())
    test = {"contains": pc.match_substring, "startswith": pc.starts_with, "endswith": pc.ends_with}[function]
    return np.asarray(pc.fill_null(test(array, pattern=text), False))
