"""Decorators and agents in a real Jupyter kernel, whose event loop runs from the first cell on.

Every function is called for the first time there, so that the check of its storage happens inside the loop.
"""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from backends import make
from guide import BLOCKS, imported_before
from nbclient import NotebookClient

SERVERS = ("postgresql", "redis", "s3")

SETUP = """
import asyncio, base64, json, pickle
from praval_storage import get_data_manager, requires_storage, storage_enabled

dm = get_data_manager()
for name, provider in pickle.loads(base64.b64decode({providers!r})).items():
    dm.register_provider(name, provider)
print(asyncio.get_running_loop().is_running())
"""

Cells = Callable[..., list[str]]


@pytest.fixture
def cells(environment: Path, request: pytest.FixtureRequest) -> Cells:
    """Run cells in a new kernel that has the tests' servers as providers; what each of them prints."""

    def execute(*sources: str) -> list[str]:
        providers = base64.b64encode(pickle.dumps({name: make(name, request) for name in SERVERS})).decode()
        code = [SETUP.format(providers=providers), *map(dedent, sources)]
        notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, code)])
        resources = {"metadata": {"path": str(environment)}}
        NotebookClient(notebook, kernel_name="python3", timeout=300, resources=resources).execute()
        in_loop, *printed = [
            "".join(output["text"] for output in cell.outputs if output.get("name") == "stdout")
            for cell in notebook.cells
        ]
        assert in_loop == "True\n"
        return printed

    return execute


def test_every_kind_of_function_at_its_first_call(cells: Cells) -> None:
    printed = cells(
        """
        def both(function):
            return requires_storage(["postgresql", "redis", "s3"])(storage_enabled(["redis"])(function))

        def asked():
            return {name for name, operation in dm.statistics() if operation == "health"}

        @both
        def plain(n, storage):
            return storage.retrieve(storage.store(n, "redis", "plain"))

        print(sorted(asked()), plain(1), sorted(asked()))
        """,
        """
        @both
        async def coroutine(n, storage):
            await asyncio.sleep(0)
            return storage.retrieve(storage.store(n, "redis", "coroutine"))

        print(await coroutine(2), await asyncio.gather(*map(coroutine, range(3))))
        """,
        """
        @both
        def generator(n, storage):
            yield storage.store(n, "redis", "generator").key
            yield storage.retrieve_by_key("redis", "generator")

        print(list(generator(3)))
        """,
        """
        @both
        async def numbers(n, storage):
            for each in range(n):
                yield storage.retrieve(storage.store(each, "redis", "numbers"))

        print([n async for n in numbers(4)])
        """,
        """
        class Keeper:
            @both
            def method(self, n, storage):
                return storage.retrieve(storage.store(n, "redis", "method"))

            @classmethod
            @both
            async def of_class(cls, n, storage):
                return cls.__name__, storage.retrieve(storage.store(n, "redis", "of class"))

            @both
            @staticmethod
            def static(n, storage):
                return storage.retrieve(storage.store(n, "redis", "static"))

        print(Keeper().method(5), await Keeper.of_class(6), Keeper.static(7))
        """,
        """
        several = asyncio.gather(*(both(function)(8) for function in [coroutine, coroutine]))
        print(await several, await asyncio.to_thread(both(plain), 9))
        """,
    )
    assert printed == [
        "[] 1 ['postgresql', 'redis', 's3']\n",
        "2 [0, 1, 2]\n",
        "['generator', 3]\n",
        "[0, 1, 2, 3]\n",
        "5 ('Keeper', 6) 7\n",
        "[8, 8] 9\n",
    ]


def test_a_first_call_that_fails_leaves_the_kernel_as_it_was(cells: Cells, free_tcp_port: int) -> None:
    printed = cells(
        f"""
        from praval_storage.providers import PostgreSQLProvider
        good = dm.providers["postgresql"]
        dm.unregister_provider("redis")
        dm.register_provider("bad", PostgreSQLProvider(port={free_tcp_port}, timeout=1))

        @requires_storage(["postgresql", "bad", "redis"])
        async def needs_all():
            return "it ran"
        """,
        """
        try:
            await needs_all()
        except ConnectionError as error:
            print([line.partition(":")[0] for line in str(error).splitlines()])
        """,
        """
        dm.register_provider("bad", good)
        dm.register_provider("redis", lambda: good)
        print(await needs_all())
        """,
    )
    assert printed[1:] == [
        "['needs_all requires storage that is not available', '- bad', '- redis']\n",
        "it ran\n",
    ]


def test_agents_hear_of_each_other(cells: Cells) -> None:
    printed = cells(
        """
        from praval import agent, get_reef, start_agents

        @agent("producer", responds_to=["start"])
        @requires_storage(["postgresql", "s3"])
        @storage_enabled(["postgresql"])
        async def producer(spore, storage):
            await asyncio.sleep(0)
            reference = storage.store({"rows": spore.knowledge["rows"]}, "postgresql", "the rows")
            return {"type": "stored", "where": reference}

        heard = []

        @requires_storage
        @storage_enabled(["postgresql", "redis"])
        @agent("consumer", channel="producer_channel", responds_to=["stored"])
        def consumer(spore, storage):
            rows = storage.retrieve(spore.knowledge["where"])["rows"]
            heard.append(storage.store(sum(rows), "redis", "the sum"))
        """,
        """
        async def until_heard():
            # praval's own wait looks at each channel once, and may have passed that of an answer.
            while not heard:
                await asyncio.sleep(0.01)

        start_agents(producer, consumer, initial_data={"type": "start", "rows": [1, 2, 3]})
        await asyncio.wait_for(until_heard(), timeout=120)
        print(heard, dm.retrieve_many(heard).values)
        """,
        """
        print((await producer(type("Spore", (), {"knowledge": {"rows": []}})))["where"])
        get_reef().shutdown()
        """,
    )
    assert printed[1:] == [
        "[DataReference.from_uri('praval://redis/the%20sum')] [6]\n",
        "praval://postgresql/the%20rows\n",
    ]


AGENTS = (
    "Storage with Agents",
    "@storage_enabled",
    "@requires_storage",
    "Multi-Provider Storage",
    "Storage with Memory Integration",
    "Transaction-like Operations",
)


def test_the_agents_of_the_guide(cells: Cells) -> None:
    printed = cells(
        """
        from praval import Spore, get_reef

        def process_data(given):
            return {"processed": given, "vector": [1.0, 0.0]}

        large_file = b"large"
        data1, data2, data3 = 1, 2, 3
        """,
        *(f"{imported_before(name)}\n{BLOCKS[name].code}" for name in AGENTS),
        """
        get_reef().system_broadcast({"input": "x"})
        assert get_reef().wait_for_completion(timeout=120)
        print(json.dumps({name: len(dm.query(name)) for name in sorted(dm.providers)}))
        """,
        """
        said = {}
        for name in ("data_handler", "data_agent", "smart_agent", "transactional"):
            [spore] = get_reef().get_channel(f"{name}_channel").spores
            said |= Spore.from_json(spore.to_json()).knowledge
        told = [said["stored_reference"], said["reference"], said["stored"], *said["refs"]]
        print(dm.retrieve_many(told).values)
        get_reef().shutdown()
        """,
    )
    assert printed[: len(AGENTS) + 1] == [""] * (len(AGENTS) + 1)
    kept, told = printed[-2:]
    assert json.loads(kept) == {"filesystem": 1, "postgresql": 3, "qdrant": 1, "redis": 2, "s3": 2}
    processed = {"processed": "x", "vector": [1.0, 0.0]}
    assert told == f"{[processed, {'result': '...'}, processed, 1, 2, 3]}\n"
