"""The claims of the paper: measurements, verdicts and the claims table."""
