"""Codecs: the wire and disk formats."""
