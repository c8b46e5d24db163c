"""Text: corpora, tokenizers, packed sequences."""
