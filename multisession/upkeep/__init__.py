"""Work outside requests: purge old rows, and end sessions when their users change."""
