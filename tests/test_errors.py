"""The error tree: what each error also is, what its text says, what survives a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from praval_storage import errors
from praval_storage.errors import InvalidKeyError, KeyExistsError, KeyNotFoundError, StorageError

BUILTINS = {
    "ConfigurationError": ValueError,
    "InvalidFilterError": ValueError,
    "InvalidKeyError": ValueError,
    "KeyExistsError": FileExistsError,
    "KeyNotFoundError": LookupError,
    "ProviderNotRegisteredError": LookupError,
    "SerializationError": TypeError,
    "StorageConnectionError": ConnectionError,
    "StoragePermissionError": PermissionError,
    "StorageTimeoutError": TimeoutError,
    "TransactionError": RuntimeError,
    "UnsupportedOperationError": NotImplementedError,
}
ALL = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, StorageError) and kind is not StorageError
}
each_error = pytest.mark.parametrize("kind", ALL.values(), ids=ALL)


def test_the_tree_is_complete_and_drawn_in_the_docstring() -> None:
    assert ALL.keys() == BUILTINS.keys()
    for name, builtin in BUILTINS.items():
        assert f"{name} " in str(errors.__doc__)
        assert f"({builtin.__name__})" in next(
            line for line in str(errors.__doc__).splitlines() if name in line
        )


@pytest.mark.parametrize("name, builtin", BUILTINS.items())
def test_each_error_is_also_the_builtin_a_caller_would_catch(name: str, builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="it failed"):
        raise ALL[name]("it failed")


def test_a_missing_key_is_no_bare_key_error() -> None:
    # KeyError would show its message as a repr.
    assert not issubclass(KeyNotFoundError, KeyError)


@each_error
def test_text_names_provider_operation_key_and_hint(kind: type[StorageError]) -> None:
    error = kind("It failed", provider="redis", operation="store", key="a/b", hint="Try again")
    assert str(error) == "It failed (provider 'redis', store, key 'a/b'). Try again"


@each_error
def test_facts_survive_pickle_and_copy(kind: type[StorageError]) -> None:
    error = kind("It failed", provider="redis", operation="store", key="k", hint="Try again")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert str(again) == str(error)


@each_error
def test_an_error_needs_nothing_but_its_class(kind: type[StorageError]) -> None:
    error = kind()
    assert str(error) == ""
    assert (error.provider, error.operation, error.key, error.hint) == (None, None, None, None)


def test_what_the_message_says_already_is_not_repeated() -> None:
    error = InvalidKeyError("Key 'a//b' has an empty segment", operation="store", key="a//b")
    assert str(error) == "Key 'a//b' has an empty segment (store)"


def test_an_empty_key_is_a_fact_too() -> None:
    assert str(InvalidKeyError("Bad", key="")) == "Bad (key '')"


def test_context_fills_gaps_and_replaces_nothing() -> None:
    error = KeyExistsError("There", key="inner").within("redis", "store", "outer")
    assert (error.provider, error.operation, error.key) == ("redis", "store", "inner")
    assert error.within("s3", "copy", "other") is error
    assert (error.provider, error.operation, error.key) == ("redis", "store", "inner")


def test_context_without_a_key_leaves_the_key_open() -> None:
    assert KeyExistsError("There").within("redis", "store_many", None).key is None
