"""Request: what a single request shows of who makes it: headers and their order, agent, network, signature."""
