"""What is done beside requests: removing what is over, and following changes of users."""
