"""What hook.py does with an event. Standard library only; the hot path imports only what loads within a millisecond."""
