"""The size guide, checked: every claim of it beside the exact figure, as one Markdown document."""
