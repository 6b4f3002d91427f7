"""Figures and tables, one module per notebook: 01, 03-08."""
