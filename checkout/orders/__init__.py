"""Orders: from a reservation to what is paid for, whatever breaks on the way."""
