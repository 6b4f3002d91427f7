"""Checks that the committed results still follow from the code."""
