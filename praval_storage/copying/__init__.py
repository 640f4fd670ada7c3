"""Copies and moves between any two providers: one record, or a whole result, in bulk calls.

``job`` takes a call apart into ``parcels``; ``transfer`` sends those of one provider along a ``route``, most
of them ``whole`` and many at a time, large ones as ``streams``; ``same`` says whether a copy is what was
sent, and ``progress`` how far it all is.
"""

from praval_storage.copying.job import Keys, Source, copy
from praval_storage.copying.progress import Progress
from praval_storage.copying.route import Job

__all__ = ["Job", "Keys", "Progress", "Source", "copy"]
