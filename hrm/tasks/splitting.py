"""Dividing puzzles among splits so that no symmetry of a puzzle lies in two of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class ClassSplitter:
    """Gives whole symmetry classes (equal fingerprints) to splits, in the order in which puzzles are offered.

    A class goes, when its first puzzle is seen, to the split with room that has fewest classes for its size;
    splits without any come first. A puzzle that was seen before is passed over.

    Args:
        sizes: the wanted number of puzzles of each split, each at least 1.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.chosen: dict[str, list[int]] = {name: [] for name in sizes}
        """For each split the numbers of its puzzles, counted over all that were offered."""
        self._num_classes = dict.fromkeys(sizes, 0)
        self._split_of: dict[int, str] = {}
        self._seen: set[bytes] = set()
        self._num_offered = 0

    @property
    def num_missing(self) -> int:
        """Puzzles still wanted, over all splits."""
        return sum(self.sizes[name] - len(members) for name, members in self.chosen.items())

    def offer(self, puzzles: np.ndarray, fingerprints: np.ndarray) -> None:
        """Takes what fits of `puzzles` [P, cells] with `fingerprints` uint64 [P]."""
        for puzzle, fingerprint in zip(puzzles, fingerprints.tolist()):
            self._offer_one(puzzle.tobytes(), fingerprint)
            self._num_offered += 1

    def _offer_one(self, puzzle: bytes, fingerprint: int) -> None:
        if puzzle in self._seen:
            return
        name = self._split_of.get(fingerprint) or self._neediest()
        if name is None or not self._has_room(name):
            return
        if fingerprint not in self._split_of:
            self._split_of[fingerprint] = name
            self._num_classes[name] += 1
        self._seen.add(puzzle)
        self.chosen[name].append(self._num_offered)

    def _has_room(self, name: str) -> bool:
        return len(self.chosen[name]) < self.sizes[name]

    def _neediest(self) -> str | None:
        roomy = [name for name in self.sizes if self._has_room(name)]
        return min(roomy, key=lambda name: self._num_classes[name] / self.sizes[name], default=None)
