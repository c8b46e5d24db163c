"""Tasks: data sets, their splits and batches."""
