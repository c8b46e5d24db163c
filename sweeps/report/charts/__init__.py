"""Figures as plain data: what they show (`chart.py`), and how matplotlib draws it (`draw.py`)."""
