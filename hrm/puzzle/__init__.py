"""The puzzle HRM: ACT, H/L cycles, puzzle embeddings (reference: sapientinc/HRM, arXiv 2506.21734)."""

from hrm.families import Family
from hrm.puzzle.checkpoint_names import to_official
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.counting import count, count_arrays
from hrm.puzzle.lattice import LATTICE
from hrm.puzzle.model import PuzzleHRM

FAMILY = Family(
    name="puzzle",
    config_class=PuzzleHRMConfig,
    build=PuzzleHRM,
    counts=count,
    count_arrays=count_arrays,
    lattice=LATTICE,
    official_names=to_official,
)
