"""How jobs run: Ray, its workers, the machine's shares."""
