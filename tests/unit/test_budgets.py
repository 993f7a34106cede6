"""The source stays small: functions and modules have limits, imports make no circle, names say something."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

FUNCTION_LINES = 80
USUAL_FUNCTION_LINES = 40
"""Nineteen functions of twenty are no longer."""
MODULE_LINES = 600

NO_MODULE = {
    *("utils", "util", "helpers", "helper", "common", "core", "base", "misc"),
    *("managers", "manager", "services", "service", "types", "constants", "interfaces"),
}
NO_CLASS = ("Manager", "Helper", "Util")

Graph = Mapping[str, set[str]]
"""Module to the modules of ours that it imports."""


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Read every module of ours, by its dotted name."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(), str(path)
        )
        for path in sorted((SOURCE / "argosy").rglob("*.py"))
    }


def functions() -> list[tuple[int, str]]:
    """Give each function's length in lines and its place, the longest last."""
    return sorted(
        ((node.end_lineno or 0) - node.lineno + 1, f"{name}:{node.lineno} {node.name}")
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def imported(tree: ast.Module) -> Iterator[str]:
    """Give every name that a module imports, inside of functions too; `from a import b` may mean `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say the whole name"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(trees: Mapping[str, ast.Module]) -> Graph:
    """Draw who imports whom among the given modules."""
    graph: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for wanted in imported(tree):
            found = wanted if wanted in trees else wanted.rpartition(".")[0]
            if found in trees:
                graph[name].add(found)
    return graph


def circle(graph: Graph) -> list[str]:
    """Give modules that import each other in a circle, or nothing."""
    way: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            way.append(name)
            for below in sorted(graph[name]):
                if found := visit(below):
                    return found
            way.pop()
            done.add(name)
        return []

    return next((found for name in graph if (found := visit(name))), [])


def test_no_function_is_too_long_for_a_screen() -> None:
    assert [place for lines, place in functions() if lines > FUNCTION_LINES] == []


def test_nineteen_functions_of_twenty_are_short() -> None:
    lines = [lines for lines, _ in functions()]
    assert lines[int(len(lines) * 0.95)] <= USUAL_FUNCTION_LINES


def test_no_module_is_too_long_to_be_read_at_a_sitting() -> None:
    lengths = {path.relative_to(SOURCE): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > MODULE_LINES} == {}


def test_imports_make_no_circle() -> None:
    graph = imports(modules())
    assert sum(map(len, graph.values())) > 100, "the drawing has lines"
    assert circle(graph) == []


def test_a_circle_would_be_seen() -> None:
    texts = {"a": "from b import x", "b": "def f():\n    import c", "c": "import a", "d": "import a"}
    assert circle(imports({name: ast.parse(text) for name, text in texts.items()})) == ["a", "b", "c", "a"]


def test_modules_are_called_by_what_they_are_about() -> None:
    assert [name for name in modules() if NO_MODULE.intersection(name.split("."))] == []


def test_classes_are_called_by_what_they_are() -> None:
    names = [
        f"{name}.{node.name}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(word in node.name for word in NO_CLASS)
    ]
    assert names == []
