"""The project that every contender serves: ``startproject``'s middleware and a few views."""
