"""Datasets made from finished videos, one module per format; rows come from the ledgers."""
