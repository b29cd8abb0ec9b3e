"""The layout holds: floors import downwards only, without circles, and no SDK is loaded by importing qarchive."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import qarchive

PACKAGE = Path(qarchive.__file__).parent
SDKS = {"obstore", "qiskit", "qiskit_aer", "qiskit_ibm_runtime", "perceval", "pasqal_cloud", "pulser", "numpy", "pandas",
        "pyarrow", "matplotlib"}  # fmt: skip

# From the ground up. A module imports only from floors below its own.
FLOORS = [
    {"errors", "version", "printable"},
    {"values", "drawing"},
    {"codec", "disk", "environment", "code_state", "filesystem", "workers"},
    {"columns", "outcomes", "records", "config", "redact", "pack", "locks", "owner", "shapes"},
    {"model", "json_forms", "tables", "query", "noise"},
    {"rows", "database", "text_forms", "readable", "sweeps"},
    {"condemned", "folding", "identity", "lease", "notebook", "plotting", "seals", "solid", "tabular", "trees"},
    {"intake"},
    {"filling"},
    {"catalog", "calibration"},
    {"index"},
    {"store", "checking"},
    {"stage", "check", "providers", "repacking"},
    {"scope", "membership", "labels", "showing"},
    {"entries"},
    {"capture", "job"},
    {"clouds", "library", "comparing"},
    {"groups", "provenance", "bundles"},
    {"remotes", "copies", "chronicle"},
    {"replay", "exchange", "repair"},
    {"curating"},
    {"archive"},
    {"everything", "doctor"},
    {"report"},
    {"serving"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).with_suffix("").parts


@cache
def _imports(path, parts):
    """Modules of the package that a file imports, as parts of their names, wherever in the file the import stands."""
    return list(_imported(path, parts))


def _imported(path, parts):
    package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + tuple(node.module.split(".") if node.module else ())
            for name in node.names:
                target = (*base, name.name)
                exists = (
                    PACKAGE.joinpath(*target).with_suffix(".py").exists() or PACKAGE.joinpath(*target, "__init__.py").exists()
                )
                yield target if exists else base or ("__init__",)
        else:
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                if name.split(".")[0] == "qarchive":
                    yield tuple(name.split(".")[1:]) or ("__init__",)


def _floor(parts):
    return next(number for number, names in enumerate(FLOORS) if parts[0] in names)


def test_every_module_stands_on_a_floor():
    assert {parts[0] for _, parts in _modules()} == set().union(*FLOORS)


def test_floors_import_downwards_only():
    upwards = []
    for path, parts in _modules():
        for target in _imports(path, parts):
            if target[0] != parts[0] and _floor(target) >= _floor(parts):
                upwards.append(f"{'.'.join(parts)} imports {'.'.join(target)}")
    assert upwards == []


def test_there_is_no_circle():
    graph = {parts: set(_imports(path, parts)) - {parts} for path, parts in _modules()}
    graph = {
        parts: {target if target in graph else (*target, "__init__") for target in targets} for parts, targets in graph.items()
    }
    done, open_now, circles = set(), [], []

    def visit(parts):
        if parts in open_now:
            circles.append(open_now[open_now.index(parts) :] + [parts])
        elif parts not in done:
            open_now.append(parts)
            for target in graph.get(parts, ()):
                visit(target)
            done.add(open_now.pop())

    for parts in graph:
        visit(parts)
    assert circles == []


def test_providers_touch_no_disk():
    names = {"store", "pack", "index", "intake", "lease", "disk", "stage", "archive", "capture"}
    assert [
        (parts, target)
        for path, parts in _modules()
        if parts[0] == "providers"
        for target in _imports(path, parts)
        if target[0] in names
    ] == []


def test_importing_qarchive_and_its_providers_loads_no_sdk():
    modules = [".".join(("qarchive", *parts)).removesuffix(".__init__") for _, parts in _modules() if parts[-1] != "__main__"]
    code = f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert SDKS & {name.split(".")[0] for name in loaded} == set()


def test_data_never_names_code():
    forbidden = {"pickle", "dill", "shelve", "marshal"}
    for path, _ in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert forbidden.isdisjoint(alias.name.split(".")[0] for alias in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "__import__"}, path


def test_a_help_text_waits_for_nothing_that_it_does_not_need():
    code = "import sys\nfrom qarchive.cli import main\nmain(['--help'], standalone_mode=False)\n"
    code += "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    loaded = {name for name in done.stderr.split() if name.startswith("qarchive.")}
    allowed = {"version", "cli", "cli.shell", "cli.output", "errors", "printable", "values"}
    assert loaded <= {f"qarchive.{name}" for name in allowed}
