"""The formats that a rows file may have, one module each; `rows.py` chooses between them."""
