"""What a sweep leaves on disk: the tables (the one truth), their schema, provenance and context."""
