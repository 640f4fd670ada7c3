"""Qdrant: the embedded engine or a server, one payload layout, one filter compiler.

``provider`` is the class; ``payload``, ``vectors``, ``conditions``, ``filters``, ``reading`` and ``writing``
are shared by both engines, which meet the protocol in ``engine``: ``edge`` in-process (with ``folder``,
``shard``, ``native`` and ``optimize``), ``server`` through qdrant-client (with ``address``, ``connection``,
``wire`` and ``server_errors``).
"""

from praval_storage.providers.qdrant.provider import QdrantProvider
from praval_storage.providers.qdrant.settings import QdrantSettings

__all__ = ["QdrantProvider", "QdrantSettings"]
