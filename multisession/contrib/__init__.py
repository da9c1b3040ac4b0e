"""Optional apps, each for one other package or purpose. Nothing here is loaded unless installed."""
