"""The site under load: what ``startproject`` makes, Django's sign-in page, and our lines."""
