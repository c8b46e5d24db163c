"""The command line of a sweep: Hydra composes, every fault becomes one message; and the folder that it writes."""
