"""Optional apps, each for one purpose. A project uses one by adding it to INSTALLED_APPS."""
