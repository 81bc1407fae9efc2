"""One run, from an up-to-date ledger to the summary."""
