"""The browser among other widgets, and what Python sees of it at once."""

from __future__ import annotations

import ipywidgets
import pytest
from harness.gated import Gated

from praval_storage import DataManager
from praval_storage.jupyter import browse


@pytest.fixture
def slow() -> Gated:
    provider = Gated()
    provider.store("reports/one.json", {"n": 1}, {})
    return provider


SIDE_BY_SIDE = """
import ipywidgets
from praval_storage import DataManager
from praval_storage.testing import InMemoryProvider
dm = DataManager({"memory": InMemoryProvider()})
ipywidgets.VBox([
    ipywidgets.HBox([dm.browse(), dm.browse()]),
    ipywidgets.HBox([ipywidgets.VBox([dm.browse()]), ipywidgets.VBox([dm.browse()])]),
])
"""


def test_browsers_stand_side_by_side_and_share_the_width(lab_page):
    output = lab_page.open([SIDE_BY_SIDE]).run_all().output(0)
    browsers = output.locator(".pvb")
    browsers.nth(3).wait_for()
    boxes = [each.bounding_box() for each in browsers.all()]
    for left, right in (boxes[:2], boxes[2:]):
        assert left["y"] == right["y"]
        assert left["width"] == pytest.approx(right["width"], abs=8)
        assert left["width"] >= 400
    assert boxes[0]["width"] + boxes[1]["width"] > 0.9 * output.bounding_box()["width"]


def test_the_first_page_is_there_when_python_goes_on(slow):
    b = browse(DataManager({"memory": slow}), "memory/reports/")
    assert [row["name"] for row in b.rows] == ["one.json"]


def test_a_provider_that_does_not_answer_is_not_waited_for_long(slow, monkeypatch):
    monkeypatch.setattr("praval_storage.jupyter.PATIENCE", 0.01)
    slow.gate.clear()
    b = browse(DataManager({"memory": slow}), "memory/reports/")
    assert b.rows == []
    assert "listing" in b._repr_mimebundle_()[0]["text/html"]
    slow.gate.set()


def test_a_box_says_in_a_line_what_it_holds(slow):
    b = browse(DataManager({"memory": slow}), "memory/reports/")
    assert "BrowserWidget('memory/reports/')" in repr(ipywidgets.HBox([b]))


def test_a_snapshot_has_no_preview_of_another_place(slow):
    b = browse(DataManager({"memory": slow}), "memory/reports/", static=True)
    b.selected = "praval://memory/reports/one.json"
    assert "Preview" in b.snapshot().html
    b.path = "memory"
    assert "Preview" not in b.snapshot().html


def test_the_static_form_of_a_table_has_its_columns(postgres_dsn, pg_table):
    from praval_storage.providers import PostgreSQLProvider

    dm = DataManager({"pg": PostgreSQLProvider(dsn=postgres_dsn)})
    b = browse(dm, f"pg/public.{pg_table}", static=True)
    assert "Lisbon" in repr(b)
    assert ">city</th>" in b._repr_html_()
    assert "kind" not in b._repr_html_()


@pytest.fixture
def pg_table(postgres_dsn):
    import psycopg

    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE composing (id int PRIMARY KEY, city text)")
        connection.execute("INSERT INTO composing VALUES (1, 'Lisbon')")
        yield "composing"
        connection.execute("DROP TABLE composing")
