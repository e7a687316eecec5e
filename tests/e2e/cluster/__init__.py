"""A real Kubernetes control plane in the sandbox, what happens in it, and what is to be seen of it."""
