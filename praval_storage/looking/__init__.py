"""Looking around through the manager: pages, listings, trees, and one provider as if it were a mapping."""

from praval_storage.looking.listed import Listed, ls
from praval_storage.looking.pages import look, measure
from praval_storage.looking.tree import Tree, tree
from praval_storage.looking.view import ProviderView, known_to_ipython
from praval_storage.looking.where import where

__all__ = ["Listed", "ProviderView", "Tree", "known_to_ipython", "look", "ls", "measure", "tree", "where"]
