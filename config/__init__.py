"""The demo project: settings, URLs and servers around the reusable app."""
