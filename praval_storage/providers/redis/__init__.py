"""Redis: one string per key, a JSON envelope a person can read; other people's data of every kind beside it.

``provider`` is the class. ``layout`` is the envelope, ``keyspace`` how keys are named and found, ``scripts``
what runs on the server; ``reading``, ``foreign`` and ``writing`` use them. ``counters`` has the atomic
helpers, ``messages`` pub/sub, ``connection`` the clients, ``failures`` what a server or its absence answers.
"""

from praval_storage.providers.redis.messages import Message, Subscription
from praval_storage.providers.redis.provider import RedisProvider
from praval_storage.providers.redis.settings import RedisSettings

__all__ = ["Message", "RedisProvider", "RedisSettings", "Subscription"]
