"""Maps of vectors: a sample of a collection drawn in the plane, and which records are near which."""

from praval_storage.mapping.making import Wish, vector_map
from praval_storage.mapping.view import VectorMap

__all__ = ["VectorMap", "Wish", "vector_map"]
