"""Readers for rows files, one module per format; `rows.py` chooses between them."""
