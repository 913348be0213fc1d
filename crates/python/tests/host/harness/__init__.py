"""Processes and doubles for the tests of the adapter host."""
