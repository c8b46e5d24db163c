"""Reading and checking configurations: YAML, presets, one run whole."""
