"""The HTML report, and the executed notebooks as pages."""
