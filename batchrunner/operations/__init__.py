"""Operations on run directories outside a run."""
