"""What policies are compared by: their responses, rewards, divergence, and figures of these."""
