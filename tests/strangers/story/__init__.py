"""What the stories are told with, in the process of a stranger's project.

This folder is copied beside the project's ``manage.py``. Nothing here may import the tests.
"""
