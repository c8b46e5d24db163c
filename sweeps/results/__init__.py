"""What a sweep leaves in its folder: tables and their schema, metadata, provenance."""
