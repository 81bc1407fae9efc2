"""What the gateway's usage log says of submissions in doubt."""
