"""The benchmark: one load, one broker, several hosts of the same fold. Started by `make bench`."""
