"""The HTTP API for programs, in the words of Clerk's Backend API. Off unless it is included."""
