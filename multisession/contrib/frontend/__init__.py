"""A Frontend API in Clerk's shape, for scripts in the browser: docs/howto/islands.md.

Add "multisession.contrib.frontend" to INSTALLED_APPS and include ``urls`` below any path.
``multisession/client.js`` and Clerk's own scripts use it.
"""
