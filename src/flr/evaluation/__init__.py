"""How well a reward agrees with people: procedures over reward functions, never over engines."""
