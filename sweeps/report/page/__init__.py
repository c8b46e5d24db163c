"""`report.html`: the blocks as one page that needs nothing beside it, no network and no library."""
