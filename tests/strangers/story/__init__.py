"""The stories and their helpers, which run in the process of another project.

This folder is copied beside the project's ``manage.py``. Nothing here may import the tests.
"""
