"""With nothing but the core installed the file system works, and what is missing is named."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OPTIONAL = ["numpy", "pandas", "pyarrow", "polars", "fsspec", "qdrant_edge", "qdrant_client", "PIL"]
BARE = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r})); "
STORY = """
from datetime import datetime
from praval_storage import get_data_manager
dm = get_data_manager()
data = {"when": datetime(2026, 1, 2), "tags": ("a", "b"), "n": 2**70}
ref = dm.store(data, "filesystem", key="a/b.json", metadata={"kind": "x"})
assert dm.retrieve(ref) == data
assert dm.query("filesystem", {"metadata.kind": "x", "tags": "a"}) == [data]
assert dm.list("filesystem").keys == ["a/b.json"]
for work in (lambda: dm.query("filesystem").to_pandas(), lambda: dm.search("qdrant", [1.0])):
    try:
        work()
    except ImportError as error:
        print(error)
"""


def test_the_core_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BARE + STORY],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PRAVAL_STORAGE_PATH": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    frames, qdrant = done.stdout.splitlines()
    assert "praval_storage[frames]" in frames
    assert "praval_storage[qdrant]" in qdrant
