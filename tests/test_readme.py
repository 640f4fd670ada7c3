"""The README's example prints what the README says it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from praval_storage import DataManager, KeyNotFoundError
from praval_storage.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def _block(text):
    """The one block of Python that has this in it."""
    [found] = [block for block in _blocks("python") if text in block]
    return found


def test_the_example_prints_its_output(tmp_path):
    environ = {name: value for name, value in os.environ.items() if name != "PRAVAL_STORAGE_PATH"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _blocks("python")[0]],
        cwd=tmp_path,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == _blocks("text")[0]


def test_the_sandbox_of_the_readme_runs(capsys):
    exec(_block("with Sandbox()"), {})
    assert capsys.readouterr().out.startswith("QueryResult: 1 record from s3")


@pytest.fixture(scope="module")
def dm():
    with Sandbox() as dm:
        dm.store_many(
            [{"n": n, "user": "ab"[n % 2]} for n in range(10)], "postgresql", metadata={"kind": "login"}
        )
        frame = dm.query("postgresql").to_pandas()
        dm.store(frame, "s3", "reports/penguins.csv")
        dm.store_many([{"vector": [n, 1.0], "label": n % 3} for n in range(30)], "qdrant")
        yield dm


def test_one_looks_around_as_the_readme_does(dm, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {"dm": dm}
    exec(_block("dm.browse()"), names)
    assert len(names["result"]) == 10
    ls, preview = dm.ls("s3://praval-data/reports/"), dm.preview("praval://s3/reports/penguins.csv")
    assert "penguins.csv" in repr(ls)
    assert preview.kind == "table"


def test_all_of_it_or_nothing_as_in_the_readme(dm):
    dm.store([1], "redis", "cart:17")
    names = {"dm": dm, "frame": dm.query("postgresql").to_pandas()}
    exec(_block("dm.transaction()"), names)
    assert dm.retrieve("praval://postgresql/order/17")["total"] == 42
    assert not dm.exists("praval://redis/cart:17")


def test_the_provider_of_the_readme_works():
    names = {}
    exec(_block("class Shelf"), names)
    dm = DataManager({"shelf": names["Shelf"]()})
    ref = dm.store([1, 2], "shelf", key="a/b")
    assert dm.retrieve(ref.uri) == [1, 2]
    assert dm.delete(ref)
    assert not dm.exists(ref)
    assert dm.retrieve(ref, default="gone") == "gone"
    with pytest.raises(KeyNotFoundError, match="a/b"):
        dm.retrieve(ref)


def test_the_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_tables_say_what_the_backends_answer():
    command = [sys.executable, ROOT / "tools" / "support_matrix.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_every_picture_is_there_in_both_themes_and_small():
    names = re.findall(r'(?:srcset|src)="(docs/images/[^"]+)"', README)
    assert sorted(names) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/images").glob("*"))
    assert {name.replace("-dark.", "-light.") for name in names if "-dark." in name} == {
        name for name in names if "-light." in name
    }
    assert all((ROOT / name).stat().st_size < 200_000 for name in names)
    assert README.count("<img") == README.count('alt="') == len(names) / 2
