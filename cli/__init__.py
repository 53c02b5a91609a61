"""Commands: one thin file each, over streams, sinks and the oracle."""
