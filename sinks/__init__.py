"""Sinks: readers of committed topics that tell the world."""
