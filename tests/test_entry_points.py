"""Providers of other packages: ``tests/sample_package``, really installed and used by other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

TESTS = Path(__file__).parent

Program = Callable[[str], Any]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``pip`` has installed the package into, without looking for anything elsewhere."""
    folder = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source") / "sample_package"
    shutil.copytree(TESTS / "sample_package", source)
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", folder, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def program(installed: Path, tmp_path: Path) -> Program:
    """Run a program that has the package, in an empty folder; what it prints, which is JSON."""

    def run(source: str) -> Any:
        path = os.pathsep.join(map(str, (tmp_path / "twin", installed, TESTS.parent)))
        environ = {**os.environ, "PYTHONPATH": path, "SHELF_PATH": "from_env.json"}
        environ.pop("PRAVAL_STORAGE_PATH", None)
        command = [sys.executable, "-W", "error", "-c", f"import json\n{dedent(source)}"]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_provider_is_registered_by_its_name(program: Program, tmp_path: Path) -> None:
    found = program("""
        from praval_storage import get_data_manager

        dm = get_data_manager()
        before = "shelf" in dm.providers
        dm.register_provider("shelf")
        ref = dm.store({"n": 1}, "shelf", "k")
        print(json.dumps([before, type(dm.providers["shelf"]).__module__, ref, dm.retrieve(ref)]))
    """)
    assert found == [False, "praval_storage_shelf", "praval://shelf/k", {"n": 1}]
    assert json.loads((tmp_path / "from_env.json").read_text()) == {"k": {"n": 1}}


def test_it_takes_its_settings(program: Program, tmp_path: Path) -> None:
    found = program("""
        from praval_storage import ConfigurationError, get_data_manager, storage_enabled

        dm = get_data_manager()
        dm.register_provider("shelf", {"path": "given.json"})
        dm.store(1, "shelf", "k")

        @storage_enabled(providers={"shelf": {"path": "own.json"}})
        def keep(storage):
            return storage.store(2, "shelf", "k")

        keep()
        try:
            dm.register_provider("shelf", {"pth": "given.json"})
        except ConfigurationError as error:
            print(json.dumps([str(error), dm.retrieve_by_key("shelf", "k"), keep.storage.retrieve(keep())]))
    """)
    assert found == ["Provider 'shelf' has no setting 'pth'. Its settings: path", 1, 2]
    kept = {name: json.loads((tmp_path / name).read_text()) for name in ("given.json", "own.json")}
    assert kept == {"given.json": {"k": 1}, "own.json": {"k": 2}}


def test_its_class_is_found_and_listed(program: Program) -> None:
    names, kind = program("""
        from praval_storage.registry import provider_class, provider_names

        print(json.dumps([provider_names(), provider_class("shelf").__name__]))
    """)
    assert kind == "ShelfProvider"
    assert names[:2] == ["filesystem", "fsspec"]
    assert "shelf" in names
    assert len(names) == len(set(names))


def test_who_forgets_to_register_it_is_told_how(program: Program) -> None:
    assert "Add it: dm.register_provider('shelf')." in program("""
        from praval_storage import ProviderNotRegisteredError, get_data_manager

        try:
            get_data_manager().store(1, "shelf")
        except ProviderNotRegisteredError as error:
            print(json.dumps(str(error)))
    """)


def test_the_name_of_a_built_in_provider_is_not_taken(program: Program) -> None:
    assert program("""
        from praval_storage.registry import provider_class

        print(json.dumps(provider_class("redis").__name__))
    """) == ("RedisProvider")


def test_it_keeps_what_the_suite_asks_of_it(program: Program) -> None:
    found = program("""
        from praval_storage.testing import check_provider
        from praval_storage_shelf import ShelfProvider

        report = check_provider(lambda folder: ShelfProvider(folder / "shelf.json"))
        print(json.dumps([repr(report), report.failures]))
    """)
    assert found[1] == [], found[0]
    assert found[0].startswith("ShelfProvider: ")


BROKEN = {
    "missing-module": "ModuleNotFoundError: No module named 'praval_storage_shelf_missing'",
    "missing-class": "AttributeError: module 'praval_storage_shelf' has no attribute 'Nothing'",
    "raising": "RuntimeError: the licence server does not answer",
    "no-class": "is no BaseStorageProvider but <function ShelfProvider.retrieve",
    "no-provider": "is no BaseStorageProvider but <class 'dict'>",
    "unfinished": "Can't instantiate abstract class UnfinishedProvider",
}


def test_a_broken_one_says_so_and_hurts_nobody_else(program: Program) -> None:
    errors = program(f"""
        from praval_storage import ConfigurationError, get_data_manager

        dm = get_data_manager()
        errors = {{}}
        for name in {[*BROKEN]}:
            try:
                dm.register_provider(name, {{}})
            except ConfigurationError as error:
                errors[name] = str(error)
        dm.register_provider("shelf")
        dm.store_many([1, 2], "shelf").raise_for_errors()
        dm.store(1, "filesystem")
        assert list(dm.providers) == ["filesystem", "qdrant", "shelf"], dm
        print(json.dumps(errors))
    """)
    for name, reason in BROKEN.items():
        assert reason in errors[name]
        assert f"'{name}'" in errors[name]
        assert name == "unfinished" or "of package praval-storage-shelf 1.0 (" in errors[name]


def test_two_packages_with_one_name_are_both_named(program: Program, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "twin-2.0.dist-info"
    twin.mkdir(parents=True)
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 2.0\n")
    (twin / "entry_points.txt").write_text("[praval_storage.providers]\nshelf = twin:Shelf\n")
    message = program("""
        from praval_storage import ConfigurationError, get_data_manager

        try:
            get_data_manager().register_provider("shelf")
        except ConfigurationError as error:
            print(json.dumps(str(error)))
    """)
    assert "package twin 2.0 (twin:Shelf)" in message
    assert "package praval-storage-shelf 1.0 (praval_storage_shelf:ShelfProvider)" in message
