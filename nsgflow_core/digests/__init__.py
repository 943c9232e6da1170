"""How people are told: groups of denied flows, and the messages made of them."""
