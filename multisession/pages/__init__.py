"""The menu, the pages and the other answers that people see."""
