"""The core of Continuous ATP: what an inventory event means, without I/O, clocks or chance."""
