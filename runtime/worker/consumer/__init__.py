"""The consumer: takes jobs off the queue and hands them to a service."""
