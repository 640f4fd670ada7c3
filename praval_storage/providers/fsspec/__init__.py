"""Records as files of any file system that fsspec knows: memory, Google Cloud, Azure, SFTP and more.

``files`` is the file system itself, ``companions`` is how metadata is kept beside files that cannot carry it,
``store`` brings the two together.
"""

from praval_storage.providers.fsspec.provider import FsspecProvider
from praval_storage.providers.fsspec.settings import FsspecSettings

__all__ = ["FsspecProvider", "FsspecSettings"]
