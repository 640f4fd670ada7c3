"""Maps of vectors: a sample of a collection drawn in the plane, and which records are near which."""

from praval_storage.mapping.making import vector_map
from praval_storage.mapping.view import VectorMap

__all__ = ["VectorMap", "vector_map"]
