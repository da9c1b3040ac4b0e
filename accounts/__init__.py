"""People, how they sign in, and what each of them keeps here.

The reference integration of multisession: nothing in this app does anything special for several
accounts in one browser, except where it wants to show them.
"""
