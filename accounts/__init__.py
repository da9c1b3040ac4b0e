"""The demo's users, their sign-in pages, and their notes.

The reference integration of multisession. This app has no special code for several accounts in one
browser, except to show them.
"""
