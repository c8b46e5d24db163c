"""What the confirmed runs say: arms, tests, comparisons."""
