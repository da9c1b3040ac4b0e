"""The pages, the menu and the other answers that people see."""
