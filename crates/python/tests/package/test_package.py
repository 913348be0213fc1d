"""The package itself: its stubs, docstrings and snippets."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import openalgo_shm
from openalgo_shm import _native

PACKAGE = Path(openalgo_shm.__file__).parent


def documented(tree: ast.Module):
    for made in tree.body:
        if isinstance(made, ast.ClassDef):
            runtime = getattr(_native, made.name)
            yield made.name, runtime, ast.get_docstring(made)
            for member in made.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{made.name}.{member.name}", getattr(runtime, member.name), ast.get_docstring(member)


def test_help_says_what_the_stubs_say():
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    compared = 0
    for name, runtime, text in documented(tree):
        if text is not None and name not in ("OpenAlgoShmError", "Tick.publisher"):
            assert words(inspect.getdoc(runtime)) == words(text), name
            compared += 1
    assert compared > 30


def words(text: str | None) -> list[str]:
    return (text or "").split()


def test_types_are_right():
    for command in (
        ["mypy", "--strict", "--package", "openalgo_shm"],
        ["mypy.stubtest", "--ignore-disjoint-bases", "openalgo_shm._native"],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_snippets_run(ring):
    readme = Path(__file__).parents[2].joinpath("README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert len(snippets) == 5
    for snippet in [*snippets, docstring_snippet()]:
        own = re.sub(r"(\w+(?:Subscriber|Publisher|Adapter))\((.*?)\)", rf'\1(\2, buffer_name="{ring}")', snippet)
        own = own.replace("(, ", "(")
        done = subprocess.run([sys.executable, "-c", own], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def docstring_snippet() -> str:
    lines = re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", openalgo_shm.__doc__ or "", re.M)
    return "\n".join(lines)
