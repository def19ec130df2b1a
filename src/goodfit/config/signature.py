"""What a class takes, read from its source text: a check of the configuration imports no torch.

Importing torch, Lightning and their friends takes 5 to 9 seconds; parsing a file of ours 2 ms.
Docs: docs/decisions/0002-checks-read-source.md.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Signature:
    """The arguments of a class or a function, and a class's constants, as its source states them.

    `parameters` are the keyword-only ones with their annotations as text, `arguments` the names of
    all but self. `forward` are the arguments of that method, `optional` those with a default;
    `loss` are the arguments of that method behind the first.
    `methods` are the names of all methods, and `classes` the dotted names of the class itself and
    of its bases, as far as they are in the same package.
    `undefined` are abstract methods, and constants without a value: what a subclass is to define.
    """

    parameters: dict[str, str | None]
    arguments: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    loss: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset()
    constants: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """The arguments of `forward` that have no default."""
        return tuple(name for name in self.forward if name not in self.optional)

    @property
    def gives(self) -> list[str]:
        """The inputs of a data set, and those that its spec has where the data have them."""
        return [*self.constants["inputs"], *self.constants["may_give"]]

    @property
    def output_form(self) -> str:
        """The form of a network's output, or of that which a task reads: a row unless declared."""
        return str(self.constants.get("output_form", "row"))

    @property
    def given_form(self) -> str:
        """The form of a network's output, in words."""
        return "row for each member" if self.output_form == "members" else self.output_form

    def can_read(self, network: Signature) -> bool:
        """Whether this task takes the network's output; who reads a row makes one of members'."""
        given = network.output_form
        return self.output_form == ("row" if given == "members" else given)


@dataclass(frozen=True)
class _Module:
    """What the top level of a file defines and imports; `imports` maps a name to its dotted one."""

    name: str
    definitions: dict[str, ast.ClassDef | ast.FunctionDef]
    imports: dict[str, str]


@cache
def read(target: str) -> Signature | None:
    """The signature of the class or function that `target` defines; None where it defines none.

    A name that its module only imports is none: see `read_imported`. Base classes are followed
    within the same package, so a class without an `__init__` has its base's parameters.
    """
    definition = _definition(target)
    if definition is None:
        return None
    if isinstance(definition, ast.FunctionDef):
        return Signature(_keyword_only(definition), _arguments(definition))

    named: dict[str, ast.ClassDef] = {}
    for name, ancestor in _lineage(target, definition):
        # what two bases have in common stands behind both, as in Python's own order
        named.pop(name, None)
        named[name] = ancestor
    lineage = list(named.values())
    init = _method("__init__", lineage)
    forward = _method("forward", lineage)
    loss = _method("loss", lineage)

    constants: dict[str, Any] = {}
    defined: dict[str, bool] = {}
    # the nearest last: its value counts
    for ancestor in reversed(lineage):
        for statement in ancestor.body:
            constants |= _constant(statement)
            defined |= _defined(statement)
    return Signature(
        parameters=_keyword_only(init) if init else {},
        arguments=_arguments(init) if init else (),
        forward=_positional(forward) if forward else (),
        optional=_with_default(forward) if forward else (),
        loss=_positional(loss)[1:] if loss else (),
        methods=_methods(lineage),
        constants=constants,
        classes=tuple(named),
        undefined=tuple(name for name, is_defined in defined.items() if not is_defined),
    )


def read_imported(target: str) -> Signature | None:
    """As `read`, also where the module only imports the name from elsewhere in its package.

    So torch.optim.Muon is found in torch/optim/_muon.py. None where the imports lead nowhere.
    """
    defined = _origin(target)
    return read(defined) if defined else None


def source_file(module: str) -> Path | None:
    """The file of a module of a package, found without importing either; None where it has none."""
    package, *rest = module.split(".")
    # of the top package alone: for a submodule, find_spec imports the packages that it is in
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        return None

    path = Path(spec.submodule_search_locations[0], *rest)
    if rest and path.with_suffix(".py").exists():
        return path.with_suffix(".py")
    init = path / "__init__.py"
    return init if init.exists() else None


def _origin(target: str) -> str | None:
    """The name under which something is defined: torch.optim._muon.Muon for torch.optim.Muon.

    Followed is `from ... import ...` at the top level of modules of the package that `target`
    begins with; None where that leads to no definition.
    """
    package = _package(target)
    seen: set[str] = set()
    while _package(target) == package and target not in seen:
        seen.add(target)  # a package may import a submodule from itself, under the same name
        module_name, _, name = target.rpartition(".")
        module = _parsed(module_name)
        if module is None:
            return None
        if name in module.definitions:
            return target
        if name not in module.imports:
            return None
        target = module.imports[name]
    return None


def _package(name: str) -> str:
    return name.partition(".")[0]


@cache
def _parsed(name: str) -> _Module | None:
    path = source_file(name)
    if path is None:
        return None

    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    definitions: dict[str, ast.ClassDef | ast.FunctionDef] = {}
    imports: dict[str, str] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            definitions[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(relative, package)
            for alias in node.names:
                imports[alias.asname or alias.name] = f"{source}.{alias.name}"
    return _Module(name, definitions, imports)


def _definition(target: str) -> ast.ClassDef | ast.FunctionDef | None:
    module_name, _, name = target.rpartition(".")
    module = _parsed(module_name)
    return module.definitions.get(name) if module else None


def _lineage(target: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """The class itself and its bases within the same package by their names, nearest first."""
    yield target, node

    module_name = target.rpartition(".")[0]
    module = _parsed(module_name)
    assert module is not None  # `node` is from there
    for base in node.bases:
        name = _dotted_name(base, module)
        # nn.Module and its like: torch is not to be parsed
        if name is None or _package(name) != _package(target):
            continue
        defined = _origin(name)
        parent = _definition(defined) if defined else None
        if defined and isinstance(parent, ast.ClassDef):
            yield from _lineage(defined, parent)


def _dotted_name(base: ast.expr, module: _Module) -> str | None:
    """What a base class of `module` is called elsewhere; None where it is no plain name."""
    match base:
        case ast.Name(id=name):
            return module.imports.get(name, f"{module.name}.{name}")
        case ast.Attribute(value=ast.Name(id=package), attr=name) if package in module.imports:
            return f"{module.imports[package]}.{name}"
    return None


def _method(name: str, lineage: list[ast.ClassDef]) -> ast.FunctionDef | None:
    for node in lineage:
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == name:
                return statement
    return None


def _methods(lineage: list[ast.ClassDef]) -> frozenset[str]:
    names = set()
    for node in lineage:
        names |= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return frozenset(names)


def _keyword_only(function: ast.FunctionDef) -> dict[str, str | None]:
    annotations = {}
    for argument in function.args.kwonlyargs:
        annotation = argument.annotation
        annotations[argument.arg] = ast.unparse(annotation) if annotation else None
    return annotations


def _arguments(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return tuple(argument.arg for argument in arguments if argument.arg != "self")


def _positional(method: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(argument.arg for argument in method.args.args[1:])


def _with_default(method: ast.FunctionDef) -> tuple[str, ...]:
    names = _positional(method)
    return names[len(names) - len(method.args.defaults) :]


def _constant(statement: ast.stmt) -> dict[str, Any]:
    """The name and value that a statement of a class binds; {} where they are no literal.

    Anything else would have to be run to be known, and with it torch imported (decision 0002).
    """
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            return {}
    try:
        return {name: ast.literal_eval(value)}
    except ValueError:
        return {}


def _defined(statement: ast.stmt) -> dict[str, bool]:
    """The name that a statement of a class declares, and whether it defines it, too."""
    match statement:
        case ast.FunctionDef(name=name, decorator_list=decorators):
            is_abstract = any("abstractmethod" in ast.unparse(item) for item in decorators)
            return {name: not is_abstract}
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name: True}
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return {name: True}
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            # another annotation without a value is of an instance, which `__init__` gives it
            return {name: False} if ast.unparse(annotation).startswith("ClassVar") else {}
    return {}
