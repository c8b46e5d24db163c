"""Sudoku: generated puzzles and CSV files."""
