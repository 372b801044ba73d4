"""Elementwise ops, a file per family; each op is one block."""
