"""The figures of a report, each said once as data: `chart.py` has the words, every other file says one figure."""
