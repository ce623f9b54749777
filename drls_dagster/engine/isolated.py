"""Local code of one version, imported under names that no other code has.

`mymod` of a version is the module `drls_code_<hex>.mymod`: it never meets a module of the same name from another
folder, pipeline or version in a warm process. Its imports of the version's own modules are rewritten as it is compiled,
so that functions pickled by value name the right modules too. This file imports the standard library only: its text
travels with functions to Spark's Python workers, which need not have DRLS.
"""

from __future__ import annotations

import ast
import atexit
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import shutil
import sys
import tempfile
import threading
import types
import warnings
from typing import Any

PREFIX = "drls_code_"
NAMED = frozenset({"name", "package", "anchor", "mod_name"})  # keywords of functions that name a module first
MOST = 32  # versions whose modules a process keeps
_line = threading.RLock()


class CodeRefused(ImportError):
    """An import that the saved version does not cover."""


class Package:
    """The modules of one version; a finder of `sys.meta_path` for them and for nothing else.

    `files` are the version's files by path, the bytes that are compiled. `folder` is where data files lie for code that
    opens them. `naming` are functions whose first argument names a module. `check` raises CodeRefused for a top-level
    module from outside that may not be imported.
    """

    def __init__(self, name, files, folder, naming, check=None):
        self.name = name
        self.files = files
        self.folder = folder
        self.naming = frozenset(naming)
        self.check = check
        self.tops = frozenset(path.partition("/")[0].removesuffix(".py") for path in files)

    def install(self):
        """Makes the modules importable in this process; safe to repeat."""
        with _line:
            if self.name in sys.modules:
                return sys.modules[self.name].package
            module: Any = types.ModuleType(self.name)
            module.__spec__ = importlib.machinery.ModuleSpec(self.name, None, is_package=True)
            module.__path__ = []
            module.import_module = self.import_module
            module.import_name = self.import_name
            module.admit = self.admit
            module.package = self
            sys.modules[self.name] = module
            sys.meta_path.insert(0, self)
            known = [one for name, one in sys.modules.items() if name.startswith(PREFIX) and "." not in name]
            for old in known[:-MOST]:
                old.package.remove()
        return self

    def remove(self):
        with _line:
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            for name in [name for name in sys.modules if name == self.name or name.startswith(f"{self.name}.")]:
                del sys.modules[name]

    def module(self, name):
        """A module by the name that the version's code knows it by."""
        return importlib.import_module(f"{self.name}.{name}")

    def admit(self, top):
        """Asked before each import from outside. Raises CodeRefused: to the code, it is not installed."""
        if self.check is not None:
            self.check(top)

    def import_module(self, name, package=None):
        """`importlib.import_module` as the version's code means it."""
        if name.startswith("."):
            return importlib.import_module(name, self._own(package) if package else package)
        self._refuse(name)
        return importlib.import_module(self._own(name))

    def import_name(self, name, globals=None, locals=None, fromlist=(), level=0):
        """`__import__` as the version's code means it."""
        if level or self._own(name) == name:
            if not level:
                self._refuse(name)
            return __import__(name, globals, locals, fromlist, level)
        found = __import__(self._own(name), globals, locals, fromlist, 0)
        return found if fromlist else sys.modules[self._own(name.partition(".")[0])]

    def compile(self, source, filename):
        """The source's code with its imports of the version's own modules rewritten."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, filename)
        tree = ast.fix_missing_locations(_Rewriter(self).visit(tree))
        return compile(tree, filename, "exec", dont_inherit=True)

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith(f"{self.name}."):
            return None
        where = fullname[len(self.name) + 1 :].replace(".", "/")
        for file, is_package in ((f"{where}/__init__.py", True), (f"{where}.py", False)):
            if file in self.files:
                loader: Any = _Loader(self, fullname, file)
                roots = [os.path.join(self.folder, where)] if is_package else None
                return importlib.util.spec_from_file_location(
                    fullname, loader.path, loader=loader, submodule_search_locations=roots
                )
        if any(file.startswith(f"{where}/") for file in self.files):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [os.path.join(self.folder, where)]
            return spec
        # Not None: other finders would look into the folder, where somebody may have put a file since.
        shown = fullname[len(self.name) + 1 :]
        raise ModuleNotFoundError(f"No module named '{shown}' in the saved version", name=fullname)

    def _own(self, name):
        return f"{self.name}.{name}" if name.partition(".")[0] in self.tops else name

    def _refuse(self, name):
        top = name.partition(".")[0]
        if top not in self.tops and not top.startswith(PREFIX):
            self.admit(top)


class _Loader:
    """Compiles a module from the version's bytes, whatever lies in the folder."""

    def __init__(self, package, fullname, file):
        self.package = package
        self.name = fullname
        self.file = file
        self.path = os.path.join(package.folder, *file.split("/"))

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(self.name), module.__dict__)  # noqa: S102  running the version's code is the point

    def get_code(self, fullname):
        return self.package.compile(self.package.files[self.file], self.path)

    def get_source(self, fullname):
        return importlib.util.decode_source(self.package.files[self.file])

    def is_package(self, fullname):
        return self.file.endswith("/__init__.py")

    def get_filename(self, fullname):
        return self.path

    def get_data(self, path):
        file = os.path.relpath(path, self.package.folder).replace(os.sep, "/")
        if file not in self.package.files:
            raise FileNotFoundError(f"'{file}' is not in the saved version")
        return self.package.files[file]

    def get_resource_reader(self, fullname):
        from importlib.readers import FileReader

        own: Any = self
        return FileReader(own) if self.is_package(fullname) else None


class _Rewriter(ast.NodeTransformer):
    """`import mymod` becomes `import drls_code_<hex>.mymod as mymod`, and so on for every way to name a module."""

    def __init__(self, package):
        self.name = package.name
        self.tops = package.tops
        self.naming = package.naming
        self.importlibs = {"importlib"}  # the names under which the source knows it

    def visit_Import(self, node):
        made = []
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if top not in self.tops:
                made += self._asking(top)
                if alias.name == "importlib" and alias.asname:
                    self.importlibs.add(alias.asname)
                made.append(ast.Import([alias]))
            elif alias.asname:
                made.append(ast.Import([ast.alias(f"{self.name}.{alias.name}", alias.asname)]))
            else:
                if "." in alias.name:
                    made.append(ast.Import([ast.alias(f"{self.name}.{alias.name}", None)]))
                made.append(ast.Import([ast.alias(f"{self.name}.{top}", top)]))
        return [ast.copy_location(one, node) for one in made]

    def visit_ImportFrom(self, node):
        if node.level or not node.module:
            return node
        if node.module.partition(".")[0] in self.tops:
            return ast.copy_location(ast.ImportFrom(f"{self.name}.{node.module}", node.names, 0), node)
        asking = [ast.copy_location(one, node) for one in self._asking(node.module.partition(".")[0])]
        if node.module != "importlib" or all(alias.name != "import_module" for alias in node.names):
            return [*asking, node]
        others = [alias for alias in node.names if alias.name != "import_module"]
        own = [alias for alias in node.names if alias.name == "import_module"]
        made = [ast.ImportFrom(self.name, own, 0), *([ast.ImportFrom("importlib", others, 0)] if others else [])]
        return [ast.copy_location(one, node) for one in made]

    def visit_Call(self, node):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        self.generic_visit(node)
        if name in self.naming and name not in {"import_module", "__import__"}:
            if node.args:
                node.args[0] = self._named(node.args[0])
            for word in node.keywords:
                if word.arg in NAMED:
                    word.value = self._named(word.value)
        return node

    def _named(self, argument):
        """A text that names a module of the version, by its own name; anything else as it is."""
        value = argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""
        module = value.partition(":")[0]
        if module.partition(".")[0] in self.tops and all(map(str.isidentifier, module.split("."))):
            return ast.copy_location(ast.Constant(f"{self.name}.{value}"), argument)
        return argument

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.attr == "import_module" and node.value.id in self.importlibs:
                return ast.copy_location(self._function("import_module"), node)
            if node.attr == "__import__" and node.value.id in {"builtins", *self.importlibs}:
                return ast.copy_location(self._function("import_name"), node)
        return self.generic_visit(node)

    def visit_Name(self, node):
        if node.id == "__import__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(self._function("import_name"), node)
        return node

    def _asking(self, top):
        """At the import itself, and not before: the code may change sys.path on its way there."""
        if top in sys.stdlib_module_names:
            return []
        return [ast.Expr(ast.Call(self._function("admit"), [ast.Constant(top)], []))]

    def _function(self, name):
        package = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant(self.name)], [])
        return ast.Attribute(package, name, ast.Load())


def restore(name, files, folder, naming, inner):
    """What a pickle that carries its code is loaded as, in whatever process: the code first, then the thing."""
    if name not in sys.modules:
        Package(name, files, data_folder(files, folder), naming).install()
    return pickle.loads(inner)  # noqa: S301  Spark's worker was about to do the same


def data_folder(files, folder):
    """`folder` where the version's data files lie there unchanged; else a fresh one of this process."""
    data = [path for path in files if not path.endswith(".py")]
    try:
        for path in data:
            with open(os.path.join(folder, path), "rb") as file:
                if file.read() != files[path]:
                    break
        else:
            return folder
    except OSError:
        pass
    own = tempfile.mkdtemp(prefix=PREFIX)
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    for path, content in files.items():
        where = os.path.join(own, *path.split("/"))
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as file:
            file.write(content)
    return own
