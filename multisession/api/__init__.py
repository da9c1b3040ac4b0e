"""The HTTP API for programs, modelled on Clerk's Backend API. Off unless its URLs are included."""
