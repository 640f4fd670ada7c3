"""Transactions over any providers.

``transaction`` is what the user sees. Its ``members`` are the providers of a manager, whose ``writers`` note
what they change in a ``journal`` that keeps bodies in a ``spool``; ``undoing`` puts everything back, and the
``report`` says how that went.
"""

from praval_storage.transaction.report import Change, TransactionReport
from praval_storage.transaction.transaction import Transaction

__all__ = ["Change", "Transaction", "TransactionReport"]
