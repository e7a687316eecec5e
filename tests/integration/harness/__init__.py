"""What the end-to-end tests have in common: a private machine, a DNS server, the daemon, lookups, statistics."""
