"""The command line: turns options into plain values for the other layers. Heavy imports are deferred."""
